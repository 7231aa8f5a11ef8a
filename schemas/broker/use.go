package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Use is what a component does with the brokers. Its topics, its rights and
// what is asked of the brokers at its start follow from it.
type Use struct {
	Reads, Writes []string // names of streams
	Group         string   // consumer group, empty = none
	Transactions  bool     // it writes in transactions, as the transactional id Group-Instance
	Instance      string
}

// A Right is one operation on one resource, as ACLs are given.
type Right struct {
	Resource  kmsg.ACLResourceType
	Name      string
	Prefixed  bool // all resources whose names begin with Name
	Operation kmsg.ACLOperation
}

// Rights are the least that u needs once the topics are there. Read and Write
// include Describe. An idempotent producer needs nothing more than Write on a
// topic (IdempotentWrite on the cluster was for brokers before 2.8).
func (u Use) Rights() []Right {
	var all []Right
	topic := func(stream string, op kmsg.ACLOperation) {
		all = append(all, Right{Resource: kmsg.ACLResourceTypeTopic, Name: schemas.Prefix + stream, Operation: op})
	}
	for _, s := range u.streams() {
		if slices.Contains(u.Reads, s.Name) {
			topic(s.Name, kmsg.ACLOperationRead)
		}
		if slices.Contains(u.Writes, s.Name) {
			topic(s.Name, kmsg.ACLOperationWrite)
		}
		// A topic that would lose data is refused at the start.
		topic(s.Name, kmsg.ACLOperationDescribeConfigs)
	}
	if u.Group != "" {
		all = append(all, Right{Resource: kmsg.ACLResourceTypeGroup, Name: u.Group, Operation: kmsg.ACLOperationRead})
	}
	if u.Transactions {
		all = append(all, Right{Resource: kmsg.ACLResourceTypeTransactionalId, Name: u.Group + "-", Prefixed: true, Operation: kmsg.ACLOperationWrite})
	}
	return all
}

// MakerRights are what making and checking the topics of all streams needs.
func MakerRights() []Right {
	var all []Right
	for _, op := range []kmsg.ACLOperation{kmsg.ACLOperationCreate, kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs} {
		all = append(all, Right{Resource: kmsg.ACLResourceTypeTopic, Name: schemas.Prefix, Prefixed: true, Operation: op})
	}
	return all
}

// transactionalID is what member processes call themselves.
func (u Use) transactionalID() string { return u.Group + "-" + u.Instance }

// streams lists the streams of u in the order in which data flows.
func (u Use) streams() []schemas.Stream {
	return slices.DeleteFunc(schemas.Streams(), func(s schemas.Stream) bool {
		return !slices.Contains(u.Reads, s.Name) && !slices.Contains(u.Writes, s.Name)
	})
}

package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// check asks the brokers whether u's rights are there, so that what is missing
// is named once and at the start, and not by the first record that needs it.
// Brokers that do not say which operations they allow are believed to allow all.
// complete is false when some topics are not there yet.
func (u Use) check(ctx context.Context, client *kgo.Client) (complete bool, err error) {
	complete, errs, err := u.checkTopics(ctx, client)
	if err != nil {
		return false, err
	}
	const ofGroup, ofTransactions = 0, 1 // kinds of coordinators
	if u.Group != "" {
		errs = append(errs, coordinated(ctx, client, ofGroup, u.Group, "Read on group "+u.Group))
	}
	if u.Transactions {
		errs = append(errs, coordinated(ctx, client, ofTransactions, u.transactionalID(), "Write on transactional id "+u.transactionalID()))
	}
	return complete, errors.Join(errs...)
}

// checkTopics lists what is missing of the rights to topics.
func (u Use) checkTopics(ctx context.Context, client *kgo.Client) (complete bool, missing []error, err error) {
	req := kmsg.NewPtrMetadataRequest()
	req.IncludeTopicAuthorizedOperations = true
	for _, s := range u.streams() {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(s.Topic())
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return false, nil, fmt.Errorf("ask for the rights on topics: %w", err)
	}
	allowed := map[string]int32{}
	for _, t := range resp.Topics {
		switch err := kerr.ErrorForCode(t.ErrorCode); {
		case t.Topic == nil:
		case err == nil:
			allowed[*t.Topic] = t.AuthorizedOperations
		case denied(err):
			allowed[*t.Topic] = 0
		}
	}
	for _, r := range u.Rights() {
		operations, told := allowed[r.Name]
		if r.Resource != kmsg.ACLResourceTypeTopic || !told || operations == notTold || operations&(1<<r.Operation) != 0 {
			continue
		}
		missing = append(missing, lacks(word(r.Operation)+" on topic "+r.Name, kerr.TopicAuthorizationFailed))
	}
	return len(allowed) == len(req.Topics), missing, nil
}

// notTold is the set of operations of a broker that does not say.
const notTold = -1 << 31

// coordinated asks for the coordinator of a group or transactional id, which
// needs Describe on it, and so is refused where Read or Write is missing.
func coordinated(ctx context.Context, client *kgo.Client, kind int8, key, right string) error {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = kind, key, []string{key}
	resp, err := req.RequestWith(ctx, client)
	if err != nil && !denied(err) {
		return fmt.Errorf("ask for the coordinator of %s: %w", key, err)
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
		if len(resp.Coordinators) > 0 {
			err = kerr.ErrorForCode(resp.Coordinators[0].ErrorCode)
		}
	}
	if denied(err) {
		return lacks(right, err)
	}
	return nil // another error passes, or is met again where it matters
}

// lacks says which right is missing. Who lacks it, Explain adds.
func lacks(right string, err error) error {
	return fmt.Errorf("%w: the right %s is missing", err, right)
}

// denied reports whether the brokers refuse a right.
func denied(err error) bool {
	return errors.Is(err, kerr.TopicAuthorizationFailed) || errors.Is(err, kerr.GroupAuthorizationFailed) ||
		errors.Is(err, kerr.TransactionalIDAuthorizationFailed) || errors.Is(err, kerr.ClusterAuthorizationFailed)
}

// Explain adds to an error about rights who it is that lacks them, and where
// they are listed. Others it leaves as they are.
func (c Config) Explain(err error) error {
	if !denied(err) {
		return err
	}
	return fmt.Errorf("%w; the brokers know this client as %s; gpumeter topics --acls prints the rights of each component", err, c.Principal())
}

// word is an operation as kafka-acls.sh writes it.
func word(op kmsg.ACLOperation) string {
	var b strings.Builder
	for part := range strings.SplitSeq(op.String(), "_") {
		b.WriteString(part[:1] + strings.ToLower(part[1:]))
	}
	return b.String()
}

// String is like Read on topic gpumeter.cost, with a star after a prefix.
func (r Right) String() string {
	name := r.Name
	if r.Prefixed {
		name += "*"
	}
	return word(r.Operation) + " on " + strings.ToLower(strings.ReplaceAll(r.Resource.String(), "_", " ")) + " " + name
}

// Command is the call of Kafka's own tool that gives r to principal.
func (r Right) Command(principal string) string {
	flag := map[kmsg.ACLResourceType]string{
		kmsg.ACLResourceTypeTopic: "--topic", kmsg.ACLResourceTypeGroup: "--group", kmsg.ACLResourceTypeTransactionalId: "--transactional-id",
	}[r.Resource]
	pattern := ""
	if r.Prefixed {
		pattern = " --resource-pattern-type prefixed"
	}
	return fmt.Sprintf("kafka-acls.sh --bootstrap-server BROKER --add --allow-principal '%s' --operation %s %s %s%s", principal, word(r.Operation), flag, r.Name, pattern)
}

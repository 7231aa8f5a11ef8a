package gap

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// A Log is one partition as the brokers have it.
type Log struct {
	Start int64  // offset of the first record
	End   int64  // offset behind the last one that a reader of committed records sees
	First int64  // append time of the first record, Unix ms, 0 = there is none
	Topic uint32 // fingerprint of the topic, 0 = not known
}

// Logs are partitions by topic and number.
type Logs map[string]map[int32]Log

// Look asks the brokers for all partitions of topics.
func Look(ctx context.Context, adm *kadm.Client, topics ...string) (Logs, error) {
	ids, err1 := Identify(ctx, adm, topics...)
	starts, err2 := adm.ListStartOffsets(ctx, topics...)
	ends, err3 := adm.ListCommittedOffsets(ctx, topics...)
	firsts, err4 := adm.ListOffsetsAfterMilli(ctx, 1, topics...)
	if err := errors.Join(err1, err2, err3, err4, starts.Error(), ends.Error(), firsts.Error()); err != nil {
		return nil, fmt.Errorf("listing where %v begin and end: %w", topics, err)
	}
	logs := Logs{}
	starts.Each(func(o kadm.ListedOffset) {
		if logs[o.Topic] == nil {
			logs[o.Topic] = map[int32]Log{}
		}
		end, _ := ends.Lookup(o.Topic, o.Partition)
		first, _ := firsts.Lookup(o.Topic, o.Partition)
		logs[o.Topic][o.Partition] = Log{Start: o.Offset, End: end.Offset, First: max(0, first.Timestamp), Topic: ids[o.Topic]}
	})
	return logs, nil
}

// Identify asks the brokers for the fingerprints of those topics that are there.
func Identify(ctx context.Context, adm *kadm.Client, topics ...string) (Topics, error) {
	// Asked for rights, too, the client does not answer from what it remembers, which
	// may be a topic that was deleted since.
	listed, err := adm.ListTopics(kadm.WithAuthorizedOps(ctx), topics...)
	if err != nil {
		return nil, fmt.Errorf("asking for the ids of %v: %w", topics, err)
	}
	ids := Topics{}
	for topic, t := range listed {
		switch {
		case errors.Is(t.Err, kerr.UnknownTopicOrPartition):
		case t.Err != nil:
			return nil, fmt.Errorf("asking for the id of %s: %w", topic, t.Err)
		default:
			ids[topic] = fingerprint(t.ID)
		}
	}
	return ids, nil
}

// fingerprint tells a topic from one of the same name that is made after it, 0
// where the brokers give no ids (Kafka before 2.8).
func fingerprint(id kadm.TopicID) uint32 {
	if id == (kadm.TopicID{}) {
		return 0
	}
	return max(1, crc32.ChecksumIEEE(id[:]))
}

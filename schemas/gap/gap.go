// Package gap finds records that went before a group had read them: they expired,
// their topic was recreated, or it lost its tail. It looks at where topics begin
// and end and what they are, says what is missing, and words the dead letter.
// What to do about it, go on or stop, is the reader's.
package gap

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Log is one partition as the brokers have it.
type Log struct {
	Start int64 // offset of the first record
	End   int64 // offset behind the last one that a reader of committed records sees
	First int64 // append time of the first record, Unix ms, 0 = there is none
	Topic uint32
}

// Logs are partitions by topic and number.
type Logs map[string]map[int32]Log

// Look asks the brokers for all partitions of topics.
func Look(ctx context.Context, adm *kadm.Client, topics ...string) (Logs, error) {
	details, err1 := adm.ListTopics(ctx, topics...)
	starts, err2 := adm.ListStartOffsets(ctx, topics...)
	ends, err3 := adm.ListCommittedOffsets(ctx, topics...)
	firsts, err4 := adm.ListOffsetsAfterMilli(ctx, 1, topics...)
	if err := errors.Join(err1, err2, err3, err4, details.Error(), starts.Error(), ends.Error(), firsts.Error()); err != nil {
		return nil, fmt.Errorf("listing where %v begin and end: %w", topics, err)
	}
	logs := Logs{}
	starts.Each(func(o kadm.ListedOffset) {
		if logs[o.Topic] == nil {
			logs[o.Topic] = map[int32]Log{}
		}
		end, _ := ends.Lookup(o.Topic, o.Partition)
		first, _ := firsts.Lookup(o.Topic, o.Partition)
		logs[o.Topic][o.Partition] = Log{
			Start: o.Offset, End: end.Offset, First: max(0, first.Timestamp), Topic: fingerprint(details[o.Topic].ID),
		}
	})
	return logs, nil
}

// fingerprint tells a topic from one of the same name that is made after it, 0
// where the brokers give no ids (Kafka before 2.8).
func fingerprint(id kadm.TopicID) uint32 {
	if id == (kadm.TopicID{}) {
		return 0
	}
	return max(1, crc32.ChecksumIEEE(id[:]))
}

// Recreated reports whether the log is another one than the topic whose
// fingerprint was known. What is not known is the same.
func (l Log) Recreated(known uint32) bool { return known != 0 && l.Topic != 0 && known != l.Topic }

// Lost reports whether what is committed cannot be of this log: it ends before.
func (l Log) Lost(committed int64) bool { return committed > l.End }

// Expired reports whether records behind committed went unread.
func (l Log) Expired(committed int64) bool { return committed >= 0 && committed < l.Start }

// A Gap is a part of a partition that a group has not read and never will.
type Gap struct {
	Group     string
	Topic     string
	Partition int32
	From, To  int64 // offsets; of a recreated topic To is not known, and From
	After     int64 // append time before the gap, Unix ms, 0 = not known
	Before    int64 // append time behind it, Unix ms, 0 = nothing is there yet
	Recreated bool
	Meaning   string // what follows for the ledger
}

// Letter tells of the gap. Its count is how many offsets it has, 1 where that is
// not known.
func (g Gap) Letter() schemas.DeadLetter {
	l := schemas.DeadLetter{
		Stream: g.Topic[min(len(g.Topic), len(schemas.Prefix)):], Reason: schemas.ReasonGap,
		Place: fmt.Sprintf("topic %s partition %d offset %d", g.Topic, g.Partition, g.From), Count: max(1, g.To-g.From),
	}
	what := fmt.Sprintf("offsets %d to %d expired before group %s read them", g.From, g.To-1, g.Group)
	if g.Recreated {
		what = fmt.Sprintf("the topic was recreated, or lost its tail: what it had from offset %d on was not read by group %s, which goes on at offset %d of what is there now", g.From, g.Group, g.To)
		l.Count = 1
	}
	l.Detail = fmt.Sprintf("%s; they were appended between %s and %s; %s", what, instant(g.After), instant(g.Before), g.Meaning)
	return l
}

func instant(ms int64) string {
	if ms == 0 {
		return "(not known)"
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

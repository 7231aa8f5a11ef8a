package notify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

func findingsTopic() string { return schemas.Prefix + schemas.StreamFindings }
func noticesTopic() string  { return schemas.Prefix + schemas.StreamNotices }

// recall learns of the partitions that were assigned since the last turn how
// far they are told, from the offsets of the group and from the notices.
func (r *runner) recall(ctx context.Context) error {
	if len(r.assigned) == 0 {
		return nil
	}
	committed, err := r.admin.FetchOffsets(ctx, r.cfg.Group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return fmt.Errorf("fetch the offsets of group %s: %w", r.cfg.Group, err)
	}
	starts, err := r.admin.ListStartOffsets(ctx, findingsTopic(), noticesTopic())
	if err != nil {
		return fmt.Errorf("list the starts of findings and notices: %w", err)
	}
	ends, err := r.admin.ListCommittedOffsets(ctx, findingsTopic(), noticesTopic())
	if err != nil {
		return fmt.Errorf("list the ends of findings and notices: %w", err)
	}
	for _, partition := range r.assigned {
		next, end, err := span(starts, ends, findingsTopic(), partition)
		if err != nil {
			return err
		}
		c, ok := committed.Lookup(findingsTopic(), partition)
		known := ok && c.Err == nil && c.At >= 0
		if known {
			next = max(next, c.At)
		}
		r.book.take(partition, next, end, !known)
		r.committed[partition] = -1
		if known {
			r.committed[partition] = c.At
		}
	}
	if err := r.recallNotices(ctx, starts, ends); err != nil {
		return err
	}
	r.assigned = nil
	return nil
}

func span(starts, ends kadm.ListedOffsets, topic string, partition int32) (from, to int64, err error) {
	start, ok1 := starts.Lookup(topic, partition)
	end, ok2 := ends.Lookup(topic, partition)
	if err := errors.Join(start.Err, end.Err); err != nil || !ok1 || !ok2 {
		return 0, 0, fmt.Errorf("bounds of %s/%d are not known: %w", topic, partition, errors.Join(err, kerr.UnknownTopicOrPartition))
	}
	return start.Offset, end.Offset, nil
}

// recallNotices reads the notices of the assigned partitions from their start
// to their present end.
func (r *runner) recallNotices(ctx context.Context, starts, ends kadm.ListedOffsets) error {
	left, from := map[int32]int64{}, map[int32]kgo.Offset{}
	for _, partition := range r.assigned {
		start, end, err := span(starts, ends, noticesTopic(), partition)
		if err != nil {
			return err
		}
		if start < end {
			left[partition], from[partition] = end, kgo.NewOffset().At(start)
		}
	}
	if len(left) == 0 {
		return nil
	}
	opts := append(append([]kgo.Opt{}, r.options...), broker.ConsumerOptions()...)
	client, err := kgo.NewClient(append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{noticesTopic(): from}))...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return fmt.Errorf("read %s: %w", noticesTopic(), err)
		}
		if err := r.fetchError(ctx, fetches); err != nil {
			return err
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			r.recallRecord(rec)
			if rec.Offset+1 >= left[rec.Partition] {
				delete(left, rec.Partition)
			}
		})
	}
	return nil
}

func (r *runner) recallRecord(rec *kgo.Record) {
	notices, err := wire.Decode[schemas.Notice](nil, rec)
	if err != nil {
		r.unreadable(rec, err)
		return
	}
	for i := range notices {
		r.book.recall(rec.Partition, &notices[i], rec.Timestamp)
	}
}

// unreadable counts a record that cannot be read. The sink that stores findings
// makes it a dead letter.
func (r *runner) unreadable(rec *kgo.Record, err error) {
	r.metrics.corrupt.Add(r.life, 1)
	if held, yes := r.quiet.speak("corrupt", time.Now()); yes {
		r.env.Log.Error("record cannot be read", "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "unlogged", held, "error", err)
	}
}

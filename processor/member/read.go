package member

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas/broker"
)

// FetchError is the first error of fetches that ends the reading. Those of its
// context do not; nor does a group that has forgotten this member, because the
// client joins again by itself.
func FetchError(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		var group *kgo.ErrGroupSession
		switch {
		case IsContext(e.Err):
		case errors.As(e.Err, &group) && rejoins(group.Err):
		default:
			return fmt.Errorf("reading %s partition %d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}

// rejoins reports whether a group session that ended so is followed by another.
func rejoins(err error) bool {
	for _, known := range []error{kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress, kerr.GroupIDNotFound} {
		if errors.Is(err, known) {
			return true
		}
	}
	return broker.Classify(err) == broker.Retry
}

// IsContext reports whether err is the end of a context.
func IsContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Committed fetches what a group has committed. A transaction that is still open
// on the broker, of a member that died, is waited for: it may yet be committed.
func Committed(ctx context.Context, adm *kadm.Client, group string, log *slog.Logger) (kadm.OffsetResponses, error) {
	open := watch(log, "offsets of group "+group)
	for {
		all, err := adm.FetchOffsets(kadm.RequireStable(ctx), group)
		if err == nil {
			err = all.Error()
		}
		if err == nil {
			return all, nil
		}
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			return nil, fmt.Errorf("fetching what group %s has committed: %w", group, err)
		}
		if err := open.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// Ends lists where the partitions of a topic start and end for a reader of committed
// records, once no transaction is open in those that must be settled. The brokers
// end those of the dead.
func Ends(ctx context.Context, adm *kadm.Client, topic string, log *slog.Logger, settled ...int32) (starts, ends map[int32]int64, err error) {
	open := watch(log, "topic "+topic)
	for {
		first, err1 := adm.ListStartOffsets(ctx, topic)
		stable, err2 := adm.ListCommittedOffsets(ctx, topic)
		last, err3 := adm.ListEndOffsets(ctx, topic)
		if err := errors.Join(err1, err2, err3, first.Error(), stable.Error(), last.Error()); err != nil {
			return nil, nil, fmt.Errorf("listing where %s ends: %w", topic, err)
		}
		starts, ends = offsetsOf(first[topic]), offsetsOf(stable[topic])
		tails := offsetsOf(last[topic])
		if !slices.ContainsFunc(settled, func(n int32) bool { return ends[n] != tails[n] }) {
			return starts, ends, nil
		}
		if err := open.wait(ctx); err != nil {
			return nil, nil, err
		}
	}
}

func offsetsOf(listed map[int32]kadm.ListedOffset) map[int32]int64 {
	offsets := make(map[int32]int64, len(listed))
	for n, o := range listed {
		offsets[n] = o.Offset
	}
	return offsets
}

// A Span is a part of a partition: records from From to before To.
type Span struct{ From, To int64 }

// Read hands over the committed records of spans of a topic, in the order of each
// partition. opts are the client's.
func Read(ctx context.Context, opts []kgo.Opt, topic string, spans map[int32]Span, each func(*kgo.Record) error) error {
	return ReadAll(ctx, opts, map[string]map[int32]Span{topic: spans}, each)
}

type place struct {
	topic     string
	partition int32
}

// ReadAll is Read for several topics.
func ReadAll(ctx context.Context, opts []kgo.Opt, spans map[string]map[int32]Span, each func(*kgo.Record) error) error {
	from, left := make(map[string]map[int32]kgo.Offset), make(map[place]bool)
	for topic, partitions := range spans {
		for n, s := range partitions {
			if s.From >= s.To {
				continue
			}
			if from[topic] == nil {
				from[topic] = make(map[int32]kgo.Offset)
			}
			from[topic][n], left[place{topic, n}] = kgo.NewOffset().At(s.From), true
		}
	}
	if len(left) == 0 {
		return nil
	}
	all := append(broker.ConsumerOptions(), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.ConsumePartitions(from))
	cl, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		return fmt.Errorf("making the client that reads %v: %w", slices.Sorted(maps.Keys(spans)), err)
	}
	defer cl.Close()
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := FetchError(fetches); err != nil {
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			rec := it.Next()
			to := spans[rec.Topic][rec.Partition].To // paused, some more may come
			if rec.Offset < to && !rec.Attrs.IsControl() {
				if err := each(rec); err != nil {
					return err
				}
			}
			at := place{rec.Topic, rec.Partition}
			if left[at] && rec.Offset+1 >= to {
				delete(left, at)
				cl.PauseFetchPartitions(map[string][]int32{rec.Topic: {rec.Partition}})
			}
		}
	}
	return nil
}

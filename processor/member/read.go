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
	"github.com/twmb/franz-go/pkg/kmsg"

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

// Committed fetches what the group has committed. A transaction that is still open
// on the broker with offsets of owned partitions, of a member that died or was about
// to lose them, is waited for: it may yet be committed.
func (m *Member) Committed(ctx context.Context, owned []int32, log *slog.Logger) (kadm.OffsetResponses, error) {
	open := watch(log, "offsets of group "+m.cfg.Group)
	for {
		err := m.settled(ctx, owned)
		var all kadm.OffsetResponses
		if err == nil {
			if all, err = m.cfg.Admin.FetchOffsets(kadm.RequireStable(ctx), m.cfg.Group); err == nil {
				err = all.Error()
			}
		}
		if err == nil {
			return all, nil
		}
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			return nil, fmt.Errorf("fetching what group %s has committed: %w", m.cfg.Group, err)
		}
		if err := open.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// settled gives UnstableOffsetCommit while the first offset of an owned partition is
// in an open transaction: who asks for all offsets of a group, and does not name the
// partition, is told that it has none.
func (m *Member) settled(ctx context.Context, owned []int32) error {
	req := kmsg.NewPtrOffsetFetchRequest()
	req.Group, req.RequireStable = m.cfg.Group, true
	for _, name := range m.cfg.Topics {
		t := kmsg.NewOffsetFetchRequestTopic()
		t.Topic, t.Partitions = name, owned
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, m.session.Client())
	if err != nil {
		return err
	}
	codes := []int16{resp.ErrorCode}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			codes = append(codes, p.ErrorCode)
		}
	}
	for _, g := range resp.Groups {
		codes = append(codes, g.ErrorCode)
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				codes = append(codes, p.ErrorCode)
			}
		}
	}
	for _, code := range codes {
		if err := kerr.ErrorForCode(code); err != nil {
			return err
		}
	}
	return nil
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

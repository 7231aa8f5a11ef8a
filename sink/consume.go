package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/gap"
)

// consume fills batches and hands them to the storer, which inserts and commits
// one while the next is filled. It returns when ctx ends and what was taken in
// is stored, or when the storer fails.
func (s *sink) consume(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	storer := newStorer(s)
	go storer.run(fail)
	err := s.fill(ctx, storer)
	close(storer.full)
	<-storer.done
	if storer.err != nil {
		return storer.err
	}
	return err
}

// fill takes records in and hands a batch over when it is full or its time is
// up, and at the end of ctx.
func (s *sink) fill(ctx context.Context, to *storer) error {
	for {
		fetches := s.poll(ctx)
		if fetches.IsClientClosed() {
			return kgo.ErrClientClosed
		}
		if err := s.judge(ctx, fetches); err != nil {
			return err
		}
		s.tellGaps()
		for records := fetches.RecordIter(); !records.Done(); {
			s.take(records.Next())
			if s.full() {
				s.guard.Rest()
				s.batch = to.swap(s.batch)
			}
		}
		s.guard.Rest()
		if ctx.Err() != nil || s.late() {
			s.batch = to.swap(s.batch)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// maxPoll bounds what one poll hands over; the rest stays in the client, whose
// buffer is bounded by bytes.
const maxPoll = 1000

// lookAgain is after what time a poll that brings nothing ends: gaps are found without
// a record, and told of though none comes.
const lookAgain = time.Second

// poll waits for records until the batch's time is up.
func (s *sink) poll(ctx context.Context) kgo.Fetches {
	until := s.due
	if s.batch.empty() {
		until = time.Now().Add(lookAgain)
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	return s.client.PollRecords(ctx, maxPoll)
}

func (s *sink) late() bool { return !s.batch.empty() && !time.Now().Before(s.due) }

func (s *sink) full() bool {
	return s.batch.rows >= s.cfg.Flush.Rows || s.batch.bytes >= s.cfg.Flush.Bytes
}

// judge is nil for errors that the client retries by itself and for the end of a
// poll.
func (s *sink) judge(ctx context.Context, fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		if ctx.Err() != nil || errors.Is(e.Err, context.DeadlineExceeded) {
			continue // the end of the poll
		}
		if err := s.fetchError(ctx, e); err != nil {
			return err
		}
	}
	var failed error
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if err := s.watch(ctx, p); err != nil && failed == nil {
			failed = err
		}
	})
	return failed
}

func (s *sink) fetchError(ctx context.Context, e kgo.FetchError) error {
	var lost *kgo.ErrDataLoss
	var group *kgo.ErrGroupSession
	switch {
	case errors.As(e.Err, &lost):
		return s.miss(ctx, &gap.Gap{
			Kind: gap.Cut, Place: gap.Place{Topic: e.Topic, Partition: e.Partition, Next: lost.ConsumedTo}, Log: gap.Log{End: lost.ResetTo},
		})
	case errors.Is(e.Err, kerr.UnknownTopicID), errors.Is(e.Err, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("%s %w (%w)", e.Topic, errGone, e.Err)
	case rejoins(e.Err), broker.Classify(e.Err) == broker.Retry:
		s.env.Log.Warn("fetch", "topic", e.Topic, "partition", e.Partition, "error", e.Err)
	case errors.As(e.Err, &group):
		return fmt.Errorf("group %s: %w", s.cfg.Group, group.Err)
	default:
		return fmt.Errorf("fetch %s/%d: %w", e.Topic, e.Partition, e.Err)
	}
	return nil
}

// rejoins reports whether the client joins the group again by itself: the group
// has gone on without this member, which was paused or cut off for longer than
// its session.
func rejoins(err error) bool {
	return errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.IllegalGeneration) ||
		errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.StaleMemberEpoch)
}

// begin sets the time of a batch that is about to get its first row.
func (s *sink) begin() {
	if s.batch.empty() {
		s.due = time.Now().Add(s.cfg.Flush.Every)
	}
}

func (s *sink) take(rec *kgo.Record) {
	s.begin()
	if s.guard.PassesOver(rec) {
		s.batch.pass(rec)
		return
	}
	s.guard.Reading(rec)
	if err := s.batch.add(rec); err != nil {
		s.counts.change(func(c *Stats) { c.Corrupt[rec.Topic]++ })
		s.env.Log.Debug("record refused", "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "error", err)
	}
}

package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas/broker"
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
		if err := s.fetchError(ctx, fetches); err != nil {
			return err
		}
		for records := fetches.RecordIter(); !records.Done(); {
			s.take(records.Next())
			if s.full() {
				s.batch = to.swap(s.batch)
			}
		}
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

// poll waits for records until the batch's time is up; for ever while it is
// empty.
func (s *sink) poll(ctx context.Context) kgo.Fetches {
	if s.batch.empty() {
		return s.client.PollRecords(ctx, maxPoll)
	}
	ctx, cancel := context.WithDeadline(ctx, s.due)
	defer cancel()
	return s.client.PollRecords(ctx, maxPoll)
}

func (s *sink) late() bool { return !s.batch.empty() && !time.Now().Before(s.due) }

func (s *sink) full() bool {
	return s.batch.rows >= s.cfg.Flush.Rows || s.batch.bytes >= s.cfg.Flush.Bytes
}

// fetchError is nil for errors that the client retries by itself and for the
// end of a poll.
func (s *sink) fetchError(ctx context.Context, fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		switch {
		case ctx.Err() != nil, errors.Is(e.Err, context.DeadlineExceeded):
		case broker.Classify(e.Err) == broker.Retry:
			s.env.Log.Warn("fetch", "topic", e.Topic, "partition", e.Partition, "error", e.Err)
		default:
			return fmt.Errorf("fetch %s/%d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}

func (s *sink) take(rec *kgo.Record) {
	if s.batch.empty() {
		s.due = time.Now().Add(s.cfg.Flush.Every)
	}
	if err := s.batch.add(rec); err != nil {
		s.counts.change(func(c *Stats) { c.Corrupt[rec.Topic]++ })
		s.env.Log.Debug("record refused", "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "error", err)
	}
}

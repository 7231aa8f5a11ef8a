package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/sink/columns"
	"github.com/gpumeter/gpumeter/sink/insert"
)

// consume is the one loop: take records in, and insert and commit them when the
// batch is full or its time is up. When ctx ends, what was taken in is stored.
func (s *sink) consume(ctx context.Context) error {
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
				if err := s.flush(); err != nil {
					return err
				}
			}
		}
		if ctx.Err() != nil || s.late() {
			if err := s.flush(); err != nil {
				return err
			}
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
	if _, err := s.batch.add(rec); err != nil {
		s.counts.change(func(c *Stats) { c.Corrupt[rec.Topic]++ })
		s.env.Log.Debug("record refused", "topic", rec.Topic, "partition", rec.Partition, "offset", rec.Offset, "error", err)
	}
}

// flush inserts the batch and then commits its offsets. It outlives the end of
// Run's context for a while.
func (s *sink) flush() error {
	if s.batch.empty() {
		return nil
	}
	for _, block := range s.batch.blocks {
		if err := s.insert(block); err != nil {
			return err
		}
	}
	if err := s.commit(); err != nil {
		return err
	}
	s.batch.reset()
	return nil
}

func (s *sink) insert(block *columns.Block) error {
	rows := block.Rows()
	if rows == 0 {
		return nil
	}
	began := time.Now()
	err := s.retry(s.life, func(ctx context.Context) error {
		return s.server.Insert(ctx, block.Table, block.Input())
	})
	if err != nil {
		return err
	}
	s.counts.change(func(c *Stats) {
		c.Rows[block.Table] += int64(rows)
		c.Inserts++
		c.Spent += time.Since(began)
	})
	return nil
}

// Pauses between attempts.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// retry does f until it succeeds, ctx ends, or its error is of no passing kind.
// While it waits nothing is polled: a server that is behind slows the fetches
// down, and memory holds one batch and one fetch.
func (s *sink) retry(ctx context.Context, f func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		if !insert.Retriable(err) {
			return err
		}
		s.counts.change(func(c *Stats) { c.Retries++ })
		s.env.Log.Warn("ClickHouse is away or busy; trying again", "pause", pause, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(pause):
		}
	}
}

// commit tells the group what is stored. A commit that fails because the group
// is rebalancing costs a redelivery, no more.
func (s *sink) commit() error {
	mine := s.owned.of(s.batch.next)
	if len(mine) == 0 {
		return nil
	}
	var failed error
	s.client.CommitOffsetsSync(s.life, mine, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
		failed = commitError(response, err)
	})
	switch {
	case failed == nil:
		return nil
	case passes(failed):
		s.env.Log.Warn("offsets not committed; the rows come again", "error", failed)
		return nil
	}
	return fmt.Errorf("commit offsets of group %s: %w", s.cfg.Group, failed)
}

func commitError(response *kmsg.OffsetCommitResponse, err error) error {
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

// passes reports whether a failed commit is no reason to end: the group is
// changing, or the broker is.
func passes(err error) bool {
	return errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.IllegalGeneration) ||
		errors.Is(err, kerr.UnknownMemberID) || errors.Is(err, kerr.StaleMemberEpoch) ||
		broker.Classify(err) == broker.Retry
}

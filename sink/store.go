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

// A storer inserts and commits batches, one after another, in a goroutine of
// its own. There are two batches: one is filled while the other is stored, and
// who has filled one waits until the other is stored. That is the memory that
// the sink needs, however far behind the server is.
type storer struct {
	sink  *sink
	full  chan *batch
	spare chan *batch
	done  chan struct{} // closed when run has ended
	err   error         // why, once done
}

func newStorer(s *sink) *storer {
	t := &storer{sink: s, full: make(chan *batch), spare: make(chan *batch, 2), done: make(chan struct{})}
	t.spare <- newBatch(s.generation)
	return t
}

// run stores until full is closed or a batch cannot be stored.
func (t *storer) run(fail context.CancelCauseFunc) {
	defer close(t.done)
	defer func() { (<-t.spare).close() }()
	for b := range t.full {
		if t.err = t.sink.store(b); t.err != nil {
			fail(t.err)
			t.spare <- b
			return
		}
		b.reset()
		t.spare <- b
	}
}

// swap hands a filled batch over and returns an empty one. An empty batch, and
// one that nobody stores any more, comes back.
func (t *storer) swap(b *batch) *batch {
	if b.empty() {
		return b
	}
	select {
	case t.full <- b:
		return <-t.spare
	case <-t.done:
		return b
	}
}

// store inserts a batch and then commits its offsets. It outlives the end of
// Run's context for a while.
func (s *sink) store(b *batch) error {
	for _, block := range b.blocks {
		if err := s.insert(block); err != nil {
			return err
		}
	}
	return s.commit(b.next)
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
func (s *sink) commit(next offsets) error {
	mine := s.owned.of(next)
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

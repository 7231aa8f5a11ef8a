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
	for {
		select {
		case b, ok := <-t.full:
			if !ok {
				t.err = t.sink.commit() // what is owed
				return
			}
			t.err = t.sink.store(b)
			b.reset()
			t.spare <- b
		case <-t.sink.commitAgain():
			t.err = t.sink.commit()
		}
		if t.err != nil {
			fail(t.err)
			return
		}
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
	s.owned.owe(b.next)
	return s.commit()
}

func (s *sink) insert(block *columns.Block) error {
	rows := block.Rows()
	if rows == 0 {
		return nil
	}
	began := time.Now()
	err := s.retry(s.life, func(ctx context.Context) error {
		return s.server.Insert(ctx, block.Table, block.Input())
	}, s.reconnect)
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

// reconnect reads the password again, which may have been changed in its file.
func (s *sink) reconnect() error {
	server, err := insert.New(s.cfg.ClickHouse)
	if err != nil {
		return err
	}
	_ = s.server.Close()
	s.server = server
	return nil
}

// commitPause is how long a commit that failed waits for the next one.
const commitPause = time.Second

// commitAgain fires when offsets that are owed are due; never when none are.
func (s *sink) commitAgain() <-chan time.Time {
	if len(s.owned.owed()) == 0 {
		return nil
	}
	return time.After(commitPause)
}

// commit tells the group what is stored. A commit that fails because the group
// is rebalancing is owed: it is tried again, with or without new records, as long
// as this member has the partitions. Lost with them it costs a redelivery, no
// more.
func (s *sink) commit() error {
	owed := s.owned.owed()
	if len(owed) == 0 {
		return nil
	}
	var failed error
	s.client.CommitOffsetsSync(kgo.PreCommitFnContext(s.life, s.sign), owed, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
		failed = commitError(response, err)
	})
	switch {
	case failed == nil:
		s.owned.paid(owed)
		return nil
	case errors.Is(failed, kerr.UnknownTopicID), errors.Is(failed, kerr.UnknownTopicOrPartition):
		return fmt.Errorf("commit offsets of group %s: a topic %w (%w)", s.cfg.Group, errGone, failed)
	case passes(failed):
		s.env.Log.Warn("offsets not committed; trying again", "error", failed)
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
	return rejoins(err) || broker.Classify(err) == broker.Retry
}

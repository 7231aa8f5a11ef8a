package detect

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A shell is one session of a finder: the loop, and what it owns.
type shell struct {
	*Finder
	member  *member.Member
	guard   *quarantine.Guard
	adm     *kadm.Client
	adopted int // changes of the assignment that parts reflect
	parts   map[int32]*partition
	parked  map[int32]*partition // detectors between two assignments

	tally     tally     // of the records since the last commit
	committed time.Time // when
	dirty     bool      // records were polled since then
	urgent    bool      // and something is to be published
}

const (
	// look is how long a poll waits at most before the assignment is looked at.
	look = 250 * time.Millisecond
	// maxRecords bounds what one poll folds before its findings are published.
	maxRecords = 500
	// commitEvery is how often offsets are committed that nobody waits for.
	commitEvery = time.Second
)

// run takes turns until ctx ends or a turn fails.
func (s *shell) run(ctx context.Context) error {
	work, stop := member.Outlive(ctx, s.stopWithin)
	defer stop()
	for ctx.Err() == nil {
		if err := s.turn(ctx, work); err != nil && (ctx.Err() == nil || !member.IsContext(err)) {
			return err
		}
	}
	if s.dirty && !s.stale() && s.caughtUp() {
		return s.commit(work)
	}
	return nil
}

// turn polls once, folds, and commits if there is reason to. New work starts under
// ctx; what has begun is finished under work.
func (s *shell) turn(ctx, work context.Context) error {
	defer s.member.AllowRebalance()
	if s.stale() {
		return s.adopt(ctx)
	}
	wait, cancel := context.WithTimeout(ctx, look)
	defer cancel()
	fetches := s.member.Poll(wait, maxRecords)
	if s.stale() {
		return s.adopt(ctx)
	}
	if err := member.FetchError(fetches); err != nil {
		return err
	}
	if err := s.reportGaps(work); err != nil {
		return err
	}
	for it := fetches.RecordIter(); !it.Done(); {
		if err := s.take(work, it.Next()); err != nil {
			return err
		}
	}
	s.guard.Rest()
	if s.due() {
		return s.commit(work)
	}
	return nil
}

// stale reports whether the group has changed its mind since parts was made.
func (s *shell) stale() bool { return s.member.Assigned().Changes != s.adopted }

// take folds one record and writes what follows from it.
func (s *shell) take(ctx context.Context, rec *kgo.Record) error {
	p := s.parts[rec.Partition]
	if p == nil {
		return fmt.Errorf("%s was polled but is not assigned: the group's assignment and this member's disagree", placeOf(rec))
	}
	s.dirty = true
	found, rows, err := p.take(rec, s.guard)
	s.stats.rows.Add(int64(rows))
	if err != nil {
		s.cfg.Log.Warn("cannot read a record of activity", "place", placeOf(rec), "error", err)
		return s.publishLetter(ctx, schemas.DeadLetter{
			Stream: schemas.StreamActivity, Place: placeOf(rec), Reason: schemas.ReasonCorrupt,
			Detail:  fmt.Sprintf("%v; find out who writes to this topic without the project's encoder", err),
			Payload: rec.Value[:min(len(rec.Value), schemas.MaxPayload)], Count: 1,
		})
	}
	for i := range found {
		if err := s.publishFinding(ctx, p.number, rec.Offset, &found[i]); err != nil {
			return err
		}
	}
	return nil
}

func placeOf(rec *kgo.Record) string {
	return fmt.Sprintf("topic %s partition %d offset %d", rec.Topic, rec.Partition, rec.Offset)
}

func (s *shell) publishLetter(ctx context.Context, l schemas.DeadLetter) error {
	rec, err := wire.Encode("", []schemas.DeadLetter{l})
	if err != nil {
		return fmt.Errorf("encoding a dead letter: %w", err)
	}
	s.tally.letters++
	s.urgent = true
	return s.member.Produce(ctx, rec)
}

func (s *shell) publishFinding(ctx context.Context, partition int32, offset int64, f *schemas.Finding) error {
	rec, err := wire.Encode(f.Allocation, []schemas.Finding{*f})
	if err != nil {
		return fmt.Errorf("encoding finding %s: %w", f.Finding, err)
	}
	rec.Partition = partition
	rec.Headers = append(rec.Headers, decided(offset, s.parts[partition].topic))
	s.tally.count(f)
	s.urgent = true
	return s.member.Produce(ctx, rec)
}

// due reports whether there is reason to commit.
func (s *shell) due() bool {
	return s.caughtUp() && (s.urgent || s.dirty && time.Since(s.committed) >= commitEvery)
}

// caughtUp is false while a detector is ahead of its client, which was set back by a
// rebalance: what would be committed is older than what has been folded.
func (s *shell) caughtUp() bool {
	for _, p := range s.parts {
		if p.polled < p.next {
			return false
		}
	}
	return true
}

// commit ends the transaction. After an abort the detectors hold what was not
// published: all are made anew in the next turn.
func (s *shell) commit(ctx context.Context) error {
	now := time.Now()
	written := make(map[int32]state)
	ok, err := s.member.Commit(ctx, func(req *kmsg.TxnOffsetCommitRequest) error { return s.annotate(req, now, written) })
	if err != nil {
		return err
	}
	s.dirty, s.urgent, s.committed = false, false, now
	if !ok {
		s.stats.aborts.Add(1)
		s.cfg.Log.Info("transaction aborted; making the detectors anew", "group", s.cfg.Group)
		s.drop()
		return nil
	}
	for n, st := range written {
		s.parts[n].committed = st
	}
	s.stats.committed(&s.tally)
	s.tally = tally{}
	s.report(s.parts)
	return nil
}

// drop forgets all detectors, so that the next turn makes them anew.
func (s *shell) drop() {
	clear(s.parts)
	clear(s.parked)
	s.adopted = -1
	s.dirty, s.urgent, s.tally = false, false, tally{}
	s.report(nil)
}

// annotate puts the positions beside the offsets that the client is about to commit,
// and notes both in written.
func (s *shell) annotate(req *kmsg.TxnOffsetCommitRequest, now time.Time, written map[int32]state) error {
	for t := range req.Topics {
		topic := &req.Topics[t]
		for i := range topic.Partitions {
			rp := &topic.Partitions[i]
			p := s.parts[rp.Partition]
			if topic.Topic != activityTopic() || p == nil || p.next != rp.Offset {
				return fmt.Errorf("offset %d of %s partition %d is about to be committed, which the detector has not reached", rp.Offset, topic.Topic, rp.Partition)
			}
			st := state{offset: p.next, position: p.position(now)}
			rp.Metadata = kmsg.StringPtr(st.position.String())
			written[rp.Partition] = st
		}
	}
	return nil
}

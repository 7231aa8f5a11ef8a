package detect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/gap"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// adopt makes parts what the group has assigned. Detectors of which all that was
// published is committed, and nothing else is, are kept; the others are recovered.
// Recovery may take long and lets the group rebalance meanwhile; the next turn sees
// whether it did. Between a revocation and the assignment that follows, detectors
// are parked.
func (s *shell) adopt(ctx context.Context) error {
	lost := s.urgent // what would have been published is not
	if err := s.member.Rewind(ctx); err != nil {
		return err
	}
	s.dirty, s.urgent, s.tally = false, false, tally{}
	s.member.AllowRebalance()
	now := s.member.Assigned()
	maps.Copy(s.parked, s.parts)
	clear(s.parts)
	if lost {
		clear(s.parked)
	}
	if now.Held {
		parts, err := s.settle(ctx, now.Partitions)
		if err != nil {
			return err
		}
		s.parts = parts
		clear(s.parked)
	}
	s.adopted = now.Changes
	s.report(s.parts)
	return nil
}

// settle finds or makes a detector for each owned partition.
func (s *shell) settle(ctx context.Context, owned []int32) (map[int32]*partition, error) {
	parts := make(map[int32]*partition, len(owned))
	if len(owned) == 0 {
		return parts, nil
	}
	all, err := s.member.Committed(ctx, owned, s.cfg.Log)
	if err != nil {
		return nil, err
	}
	var fresh []*partition
	for _, n := range owned {
		st, err := stateOf(all, n)
		if err != nil {
			return nil, err
		}
		if p := s.parked[n]; p != nil && p.committed == st {
			p.polled = max(0, st.offset)
			parts[n] = p
			continue
		}
		p := &partition{number: n, committed: st, next: max(0, st.offset), from: st.position.From}
		if p.detector, err = newDetector(s.cfg.Idle); err != nil {
			return nil, err
		}
		parts[n] = p
		fresh = append(fresh, p)
	}
	if len(fresh) == 0 {
		return parts, nil
	}
	return parts, s.recover(ctx, all, fresh)
}

func stateOf(all kadm.OffsetResponses, n int32) (state, error) {
	o, ok := all.Lookup(activityTopic(), n)
	if !ok || o.At < 0 {
		return state{offset: -1}, nil
	}
	position, err := ParsePosition(o.Metadata)
	if err != nil {
		return state{}, fmt.Errorf("%s partition %d: %w", activityTopic(), n, err)
	}
	return state{offset: o.At, position: position}, nil
}

// recover brings fresh detectors to what is committed.
func (s *shell) recover(ctx context.Context, committed kadm.OffsetResponses, fresh []*partition) error {
	began := time.Now()
	if err := s.guard.Refresh(ctx); err != nil { // another member may have passed something over
		return err
	}
	defer s.guard.Rest()
	if err := s.place(ctx, committed, fresh); err != nil {
		return err
	}
	byNumber := make(map[int32]*partition, len(fresh))
	for _, p := range fresh {
		byNumber[p.number] = p
		if p.committed.offset >= 0 {
			p.detector.Resume(p.committed.position.Seen)
		}
	}
	if err := s.readFindings(ctx, byNumber); err != nil {
		return err
	}
	if err := s.reread(ctx, byNumber); err != nil {
		return err
	}
	s.stats.recovered(len(fresh), time.Since(began))
	s.cfg.Log.Info("recovered", "partitions", len(fresh), "seconds", time.Since(began).Seconds())
	return nil
}

// What follows from a gap.
const (
	unknownTime = "the detectors take the time in it for unknown; the ledger is not concerned"
	begunAnew   = "the detectors begin anew with what is there: a finding that is open may be announced again, and one that has ended stays open; the ledger is not concerned"
	stopped     = "the detectors stopped, since the same offsets would stand for other records"
)

// place compares what is committed with the log as it is. What expired unread is
// gone, and so is a topic that was deleted: we go on where the log begins, and tell. A
// topic that lost its tail is an error, since findings say at which offset they were
// decided.
func (s *shell) place(ctx context.Context, committed kadm.OffsetResponses, fresh []*partition) error {
	logs, err := gap.Look(ctx, s.adm, activityTopic())
	if err != nil {
		return err
	}
	for _, p := range fresh {
		log, at := logs[activityTopic()][p.number], s.member.Place(committed, activityTopic(), p.number)
		at.Time = p.committed.position.Seen
		_, missing := at.Resume(log)
		switch {
		case missing == nil:
		case missing.Kind == gap.Cut:
			return s.refuse(ctx, missing)
		case missing.Kind == gap.Recreated:
			p.committed, p.next, p.from = state{offset: -1}, 0, 0
			p.gap = s.tell(missing, begunAnew)
		default:
			p.gap = s.tell(missing, unknownTime)
		}
		p.topic, p.next = log.Topic, max(p.next, log.Start)
		p.from, p.polled = max(p.from, log.Start), p.next
		s.member.Keep(gap.Topics{activityTopic(): log.Topic})
	}
	return nil
}

// tell logs a gap and returns its letter.
func (s *shell) tell(g *gap.Gap, follows string) *schemas.DeadLetter {
	l := g.Letter(follows)
	s.cfg.Log.Error("records went before they were read", "kind", g.Kind, "topic", g.Topic, "partition", g.Partition, "records", l.Count, "detail", l.Detail)
	return &l
}

// refuse tells of a gap behind which the group must not go on, at once: nothing will
// be committed that the letter could go with.
func (s *shell) refuse(ctx context.Context, g *gap.Gap) error {
	l := s.tell(g, stopped)
	s.stats.letters.Add(1)
	err := fmt.Errorf("%s; to begin anew, stop all processors and run kafka-consumer-groups.sh --bootstrap-server BROKER --delete --group %s", g, s.cfg.Group)
	if failed := gap.Tell(ctx, s.cfg.Client, *l); failed != nil {
		return fmt.Errorf("%w (%w)", err, failed)
	}
	return err
}

// reportGaps puts what went unread into the open transaction.
func (s *shell) reportGaps(ctx context.Context) error {
	for _, p := range s.parts {
		if p.gap == nil {
			continue
		}
		if err := s.publishLetter(ctx, *p.gap); err != nil {
			return err
		}
		p.gap, s.dirty = nil, true
	}
	return nil
}

// readFindings tells the detectors all revisions of their partitions that were
// decided before the committed offsets. Others are of an earlier life of the group, or
// of the topic.
func (s *shell) readFindings(ctx context.Context, fresh map[int32]*partition) error {
	var numbers []int32
	for n := range fresh {
		numbers = append(numbers, n)
	}
	starts, ends, err := member.Ends(ctx, s.adm, findingsTopic(), s.cfg.Log, numbers...)
	if err != nil {
		return err
	}
	spans := make(map[int32]member.Span)
	for _, n := range numbers {
		spans[n] = member.Span{From: starts[n], To: ends[n]}
	}
	var found []schemas.Finding
	return member.Read(ctx, s.cfg.Client, findingsTopic(), spans, func(rec *kgo.Record) error {
		p := fresh[rec.Partition]
		place, ok := decidedAt(rec, p.topic)
		if !ok || place >= p.committed.offset {
			return nil
		}
		if found, err = wire.Decode(found[:0], rec); err != nil {
			if errors.Is(err, wire.ErrCorrupt) {
				s.cfg.Log.Warn("cannot read a finding", "place", placeOf(rec), "error", err)
				return nil
			}
			return err
		}
		for i := range found {
			if found[i].Kind == schemas.KindIdle {
				p.detector.Restore(place, &found[i])
			}
		}
		return nil
	})
}

// reread lets the detectors learn again what they need below the committed
// offsets. What cannot be read has been reported.
func (s *shell) reread(ctx context.Context, fresh map[int32]*partition) error {
	spans := make(map[int32]member.Span)
	for n, p := range fresh {
		spans[n] = member.Span{From: p.from, To: p.committed.offset}
	}
	return member.Read(ctx, s.cfg.Client, activityTopic(), spans, func(rec *kgo.Record) error {
		p := fresh[rec.Partition]
		if s.guard.PassesOver(rec) {
			return nil
		}
		if s.guard.Reading(rec); p.decode(rec) == nil {
			p.detector.Replay(rec.Offset, p.rows)
		}
		return nil
	})
}

package meter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/gpumeter/gpumeter/processor/member"
)

// adopt makes parts what the group has assigned. Engines whose committed state
// is unchanged are kept, the others are recovered.
//
// What was polled since the last turn is dropped. Recovery may take long and lets
// the group rebalance meanwhile; the next turn sees whether it did. Between a
// revocation and the assignment that follows, engines are parked.
func (s *shell) adopt(ctx context.Context) error {
	if err := s.member.Rewind(ctx); err != nil {
		return err
	}
	s.member.AllowRebalance()
	now := s.member.Assigned()
	maps.Copy(s.parked, s.parts)
	clear(s.parts)
	if now.Held {
		parts, err := s.settle(ctx, now.Partitions)
		if errors.Is(err, errSpoiled) {
			s.drop()
			return nil
		}
		if s.crowded = errors.Is(err, errNoRoom); s.crowded {
			s.drop()
			s.adopted = now.Changes // until the group gives it less
			return nil
		}
		if err != nil {
			return err
		}
		s.parts = parts
		if err := s.follow(ctx); err != nil {
			return err
		}
		for n, p := range s.parked {
			if parts[n] != p {
				p.close(s)
			}
		}
		clear(s.parked)
	}
	s.adopted = now.Changes
	s.report(s.parts, s.clock.pulse.time)
	return nil
}

// settle finds or makes an engine for each owned partition.
func (s *shell) settle(ctx context.Context, owned []int32) (map[int32]*partition, error) {
	parts := make(map[int32]*partition, len(owned))
	if len(owned) == 0 {
		return parts, nil
	}
	all, err := s.member.Committed(ctx, owned, s.cfg.Log)
	if err != nil {
		return nil, err
	}
	states, err := statesOf(all, owned)
	if err != nil {
		return nil, err
	}
	var fresh []*partition
	for _, n := range owned {
		old := s.parked[n]
		if old != nil && old.committed == states[n] {
			parts[n] = old
			continue
		}
		if old != nil {
			old.close(s)
		}
		p := &partition{number: n, committed: states[n], at: states[n].position, next: states[n].offset}
		s.parked[n] = p // whose archive is closed if anything fails
		parts[n] = p
		fresh = append(fresh, p)
	}
	if len(fresh) == 0 {
		return parts, nil
	}
	return parts, s.recover(ctx, all, fresh)
}

// keyed tells which keys a producer sends to partition n of partitions. It asks
// the producer's own partitioner.
func keyed(n, partitions int32) func(string) bool {
	by := kgo.StickyKeyPartitioner(nil).ForTopic(samplesTopic())
	return func(key string) bool {
		return by.Partition(&kgo.Record{Key: []byte(key)}, int(partitions)) == int(n)
	}
}

// statesOf is what a group has committed for the owned partitions.
func statesOf(all kadm.OffsetResponses, owned []int32) (map[int32]state, error) {
	states := make(map[int32]state, len(owned))
	for _, n := range owned {
		o, ok := all.Lookup(samplesTopic(), n)
		if !ok || o.At < 0 {
			states[n] = state{offset: -1}
			continue
		}
		st := state{offset: o.At, known: o.Metadata != ""}
		if st.known {
			var err error
			if st.position, err = ParsePosition(o.Metadata); err != nil {
				return nil, fmt.Errorf("%s partition %d: %w", samplesTopic(), n, err)
			}
		}
		states[n] = st
	}
	return states, nil
}

// recover brings fresh engines to what is committed, without publishing: first
// those with an archive to what it is as of, then all. Each time that is the
// reference events below a position, the samples below an offset, and the horizon.
// Then every cell that they know has been published.
func (s *shell) recover(ctx context.Context, committed kadm.OffsetResponses, fresh []*partition) error {
	began := time.Now()
	if err := s.guard.Refresh(ctx); err != nil { // another member may have passed something over
		return err
	}
	defer s.guard.Rest()
	from, err := s.placeAll(ctx, committed, fresh)
	if err != nil {
		return err
	}
	if err := s.resume(ctx, fresh, from); err != nil {
		return err
	}
	for _, p := range fresh {
		p.fed = p.resumesAtRefs()
		if err := s.retrace(ctx, p, from); err != nil {
			return err
		}
		p.reach = p.at.Horizon
	}
	to := make(map[int32]int64, len(fresh))
	var since []history
	for _, p := range fresh {
		since = append(since, history{p, p.fed, p.at.Refs})
		to[p.number] = p.committed.offset
	}
	if err := s.rereadRefs(ctx, since); err != nil {
		return err
	}
	if err := s.reread(ctx, fresh, from, to); err != nil {
		return err
	}
	if err := beside(fresh, func(p *partition) error {
		if p.at.Horizon != 0 {
			p.engine.Advance(p.at.Horizon, p.at.Final, nil)
		}
		p.dirty = !p.committed.known
		return s.settled(p)
	}); err != nil {
		return err
	}
	took := time.Since(began)
	s.stats.recovered(len(fresh), took)
	s.cfg.Log.Info("recovered", "partitions", len(fresh), "seconds", took.Seconds())
	return nil
}

// resume brings the engines that begin with an archive to what it is as of. Then
// from says where their samples go on.
func (s *shell) resume(ctx context.Context, fresh []*partition, from map[int32]int64) error {
	var with []*partition
	var before []history
	again, to := make(map[int32]int64), make(map[int32]int64)
	for _, p := range fresh {
		if p.saved == nil {
			continue
		}
		with = append(with, p)
		again[p.number], to[p.number], from[p.number] = p.saved.Again, p.saved.Samples, p.saved.Samples
		before = append(before, history{p, Refs{refAllocations: p.saved.position.Refs[refAllocations]}, p.saved.position.Refs}) // the archive has the allocations
	}
	if err := s.rereadRefs(ctx, before); err != nil {
		return err
	}
	if err := s.reread(ctx, with, again, to); err != nil {
		return err
	}
	return beside(with, func(p *partition) error {
		p.engine.Hold(p.saved.position.Behind.tops(0))
		p.engine.Advance(p.saved.position.Horizon, p.saved.position.Final, nil)
		return s.sound(p)
	})
}

// beside does f for each partition, as many at a time as there are processors: in a
// recovery, engines with their archives are work for all of them.
func beside(parts []*partition, f func(*partition) error) error {
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for _, p := range parts {
		all.Go(func() error { return f(p) })
	}
	return all.Wait()
}

// settled makes the archive of a recovered engine one as of what is committed.
func (s *shell) settled(p *partition) error {
	if err := s.sound(p); err != nil {
		return err
	}
	return s.save(p)
}

// ends lists where the partitions of samples and the reference topics end, as a
// reader of committed records sees it.
func (s *shell) ends(ctx context.Context) ([]int64, Refs, error) {
	topics := append(make([]string, 0, 1+refCount), samplesTopic())
	for i := range refCount {
		topics = append(topics, refTopic(i))
	}
	var refs Refs
	listed, err := s.adm.ListCommittedOffsets(ctx, topics...)
	if err = errors.Join(err, listed.Error()); err != nil {
		return nil, refs, fmt.Errorf("listing where the inputs end: %w", err)
	}
	samples := make([]int64, s.partitions)
	for n := range samples {
		o, _ := listed.Lookup(samplesTopic(), int32(n))
		samples[n] = o.Offset
	}
	for i := range refs {
		o, _ := listed.Lookup(refTopic(i), 0)
		refs[i] = o.Offset
	}
	return samples, refs, nil
}

// reread feeds the samples between two offsets of each partition again. What is
// wrong with them has been said, and their rows have been counted.
func (s *shell) reread(ctx context.Context, fresh []*partition, from, to map[int32]int64) error {
	spans := make(map[int32]member.Span)
	byNumber := make(map[int32]*partition)
	for _, p := range fresh {
		spans[p.number], byNumber[p.number] = member.Span{From: from[p.number], To: to[p.number]}, p
	}
	err := member.Read(ctx, s.cfg.Client, samplesTopic(), spans, func(rec *kgo.Record) error {
		p := byNumber[rec.Partition]
		rows, _ := p.take(rec, s.guard, &s.decoder, &s.samples)
		if err := s.catchUp(p, rows); err != nil {
			return err
		}
		return s.room(fresh)
	})
	if err != nil {
		return err
	}
	if s.cfg.StateDir != "" {
		s.guard.Rest() // a disk that fails from here on is not the last record's doing
	}
	for _, p := range fresh {
		if from[p.number] < to[p.number] {
			p.next = to[p.number]
		}
	}
	return nil
}

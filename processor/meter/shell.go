package meter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/gap"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A shell is one session of a meter: the loop, and what it owns.
type shell struct {
	*Meter
	partitions int32   // of samples
	log        *refLog // nil while nothing is owned
	reference  *quarantine.Guard
	member     *member.Member
	crowded    bool // what the group has assigned does not fit into the memory
	adopted    int  // changes of the assignment that parts reflect
	adm        *kadm.Client
	guard      *quarantine.Guard
	ledger     string             // whose archives are of use
	topics     gap.Topics         // that the group reads, as they were when partitions were last placed
	passed     []quarantine.Place // what this session has done without from its beginning
	out        outbox
	clock      clock
	parts      map[int32]*partition
	parked     map[int32]*partition // engines between two assignments

	polled    int // records of this turn
	decoder   wire.SampleDecoder
	samples   schemas.Samples
	processes []schemas.Process
}

// stopWithin is what a stop leaves for the open transaction to end: a turn, and
// a broker that is slow, but not one that is gone.
const stopWithin = 5 * time.Second

func (m *Meter) newShell(partitions int32, self *member.Member, adm *kadm.Client) *shell {
	s := &shell{
		Meter: m, partitions: partitions, member: self, adm: adm,
		parts: make(map[int32]*partition), parked: make(map[int32]*partition),
	}
	s.out.member, s.out.keys = self, kgo.StickyKeyPartitioner(nil).ForTopic("")
	s.out.activity = make([][]schemas.Activity, partitions)
	s.clock.pulse.offset = -1
	return s
}

// busyEvery is how long a turn gathers that has a backlog to go on with.
const busyEvery = 10 * time.Millisecond

// run takes turns until ctx ends or a turn fails.
func (s *shell) run(ctx context.Context) error {
	work, stop := member.Outlive(ctx, s.stopWithin)
	defer stop()
	defer s.closeAll()
	defer s.closeLog()
	if s.cfg.StateDir != "" {
		s.passed = s.reference.Passed() // the other one knows them before it reads
		var err error
		if s.ledger, err = s.ledgerOf(ctx); err != nil {
			return err
		}
	}
	for ctx.Err() == nil {
		err := s.turn(ctx, work)
		if err != nil && (ctx.Err() == nil || !member.IsContext(err)) {
			return err
		}
	}
	return nil
}

// turn is one round of the loop: at most one transaction. New work starts under
// ctx; what has begun is finished under work.
func (s *shell) turn(ctx, work context.Context) error {
	defer s.member.AllowRebalance()
	if s.stale() {
		return s.adopt(ctx)
	}
	s.out.reset(work)
	s.reportGaps()
	if err := s.mark(work); err != nil {
		return err
	}
	ready, err := s.gather(ctx)
	if err != nil {
		return err
	}
	if !ready {
		return s.adopt(ctx)
	}
	s.advance()
	return s.commit(work)
}

// stale reports whether the group has changed its mind since parts was made.
func (s *shell) stale() bool {
	return s.member.Assigned().Changes != s.adopted
}

// pollRecords are read at once, between two looks at the memory.
const pollRecords = 200

// gather polls for the time of a turn, or until it has enough, and feeds what it
// polls. From the first poll that returns to the end of the turn no rebalance
// happens; ready is false when one had happened before, and nothing is fed then.
func (s *shell) gather(ctx context.Context) (ready bool, err error) {
	turn, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	s.polled = 0
	if s.crowded || s.memory.short() {
		s.memory.say()
		<-turn.Done()
		return !s.stale(), nil
	}
	limit := s.cfg.Records
	if s.guard.Careful() {
		limit = 1
	}
	for s.polled < limit && turn.Err() == nil && !s.memory.short() {
		s.guard.Rest()
		fetches := s.member.Poll(turn, min(limit-s.polled, pollRecords))
		if s.stale() {
			return false, nil
		}
		if err := member.FetchError(fetches); err != nil {
			return false, err
		}
		for it := fetches.RecordIter(); !it.Done(); s.polled++ {
			if err := s.take(it.Next()); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// patience is how long a turn gathers: hardly, while there is a backlog.
func (s *shell) patience() time.Duration {
	for _, p := range s.parts {
		if p.at.Behind.Levels > 0 {
			return min(s.cfg.Every, busyEvery)
		}
	}
	return s.cfg.Every
}

// take feeds one record of samples or processes.
func (s *shell) take(rec *kgo.Record) error {
	if rec.Topic != samplesTopic() {
		s.takeProcesses(rec)
		return nil
	}
	p := s.parts[rec.Partition]
	if p == nil {
		return fmt.Errorf("%s was polled but is not assigned: the group's assignment and this member's disagree", placeOf(rec))
	}
	rows, letter := p.take(rec, s.guard, &s.decoder, &s.samples)
	s.stats.rows(rec.Topic).Add(rows)
	if letter != nil {
		s.out.Report(*letter)
	}
	return nil
}

// takeProcesses checks a record of processes. No rule of the ledger reads them.
func (s *shell) takeProcesses(rec *kgo.Record) {
	if rec.Attrs.IsControl() || s.guard.PassesOver(rec) {
		return
	}
	s.guard.Reading(rec)
	rows, err := wire.Decode(s.processes[:0], rec)
	if err != nil {
		s.out.Report(corrupt(rec, err))
		return
	}
	s.processes = rows
	s.stats.rows(rec.Topic).Add(int64(len(rows)))
	_, refused, first := cutRows(rows, rec.Timestamp.UnixMilli(), func(p *schemas.Process) int64 { return p.TS })
	if refused > 0 {
		s.out.Report(badTime(rec, refused, first))
	}
}

// mark lists where the inputs end when there are new ticks, one request a
// second.
func (s *shell) mark(ctx context.Context) error {
	if len(s.parts) == 0 {
		return nil
	}
	v, err := s.log.view()
	if err != nil || !s.clock.news(&v) {
		return err
	}
	samples, refs, err := s.ends(ctx)
	if err != nil {
		if broker.Classify(err) == broker.Retry {
			return nil // the next turn asks again
		}
		return err
	}
	s.clock.mark(&v, samples, refs)
	return nil
}

// advance feeds the engines what is new in the reference log and moves them to
// where the clock lets them go.
func (s *shell) advance() {
	numbers := slices.Sorted(maps.Keys(s.parts))
	s.feed(numbers)
	for _, n := range numbers {
		p := s.parts[n]
		before := p.at
		s.clock.advance(&p.at, p.reader())
		moved := p.at.Horizon != before.Horizon || p.at.Final != before.Final
		if p.at.Horizon == 0 || !moved && !p.dirty && p.at.Behind.Levels == 0 {
			continue
		}
		s.out.partition = n
		p.engine.Advance(p.at.Horizon, p.at.Final, &s.out)
		p.dirty = false
		s.leave(p)
		if p.at.Behind.Levels > 0 { // the tick that named the horizon is applied again, and counts when all is published
			p.at.Applied = before.Applied
		}
		if err := s.sound(p); err != nil {
			s.out.err = errors.Join(s.out.err, err)
		}
	}
	s.guard.Rest()
	s.out.flushActivity()
	s.out.flushLetters()
}

// feed gives all engines what is new in the reference log. While the guard is
// careful, a turn has one record of any kind.
func (s *shell) feed(numbers []int32) {
	if len(numbers) == 0 {
		return
	}
	v, _ := s.log.view() // the next turn asks why there is no more
	f := feeding{guard: s.guard, room: math.MaxInt}
	if s.guard.Careful() {
		f.room = max(0, 1-s.polled)
	}
	for _, n := range numbers {
		if p := s.parts[n]; !p.full() {
			p.feed(&v, &f, s.out.Report)
		}
	}
	s.log.drop(s.refsOfAll())
	s.guard.Turn(s.polled + f.entries)
}

// due reports whether the turn has anything to commit. A horizon that moved
// without changing a cell is not worth a transaction, unless a tick named it:
// somebody waits for that.
func (s *shell) due() bool {
	if s.polled > 0 || !s.out.empty() {
		return true
	}
	for _, p := range s.parts {
		if p.at.Applied != p.committed.position.Applied {
			return true
		}
	}
	return false
}

// commit ends the turn's transaction. After an abort the engines hold what was
// not committed: all are made anew in the next turn.
func (s *shell) commit(ctx context.Context) error {
	if !s.due() {
		s.report(s.parts, s.clock.pulse.time)
		return nil
	}
	if s.out.err != nil {
		err := errors.Join(s.out.err, s.member.Rewind(ctx))
		if errors.Is(err, errSpoiled) {
			s.drop()
			return nil
		}
		return err
	}
	committed, err := s.member.Commit(ctx, s.annotate)
	switch {
	case err != nil:
		return err
	case !committed:
		s.stats.aborts.Add(1)
		s.cfg.Log.Info("transaction aborted; making the engines anew", "group", s.cfg.Group)
		s.drop()
		return nil
	}
	for _, p := range s.parts {
		if p.changed() {
			p.committed = p.state()
			if err := s.save(p); err != nil {
				return err
			}
		}
		p.gaps = nil
	}
	s.stats.committed(&s.out.tally)
	s.report(s.parts, s.clock.pulse.time)
	return nil
}

// drop forgets all engines, so that the next turn makes them anew.
func (s *shell) drop() {
	s.closeAll()
	clear(s.parts)
	clear(s.parked)
	s.adopted = -1
	s.forget()
}

// closeAll closes the archives of all engines.
func (s *shell) closeAll() {
	for _, parts := range []map[int32]*partition{s.parts, s.parked} {
		for _, p := range parts {
			p.close(s)
		}
	}
}

// annotate writes the positions beside the offsets that the client is about to
// commit, and adds the partitions of which nothing was read but whose position has
// moved.
func (s *shell) annotate(req *kmsg.TxnOffsetCommitRequest) error {
	samples := make(map[int32]bool, len(s.parts))
	for t := range req.Topics {
		topic := &req.Topics[t]
		for i := range topic.Partitions {
			rp := &topic.Partitions[i]
			p := s.parts[rp.Partition]
			switch {
			case topic.Topic == processesTopic() && p != nil:
				rp.Metadata = kmsg.StringPtr(gap.Topics{processesTopic(): s.topics[processesTopic()]}.String())
			case topic.Topic == samplesTopic() && p != nil && p.next == rp.Offset:
				rp.Metadata = kmsg.StringPtr(p.at.String())
				samples[rp.Partition] = true
			default:
				return fmt.Errorf("offset %d of %s partition %d is about to be committed, which the engine has not reached", rp.Offset, topic.Topic, rp.Partition)
			}
		}
	}
	for n, p := range s.parts {
		if !samples[n] && p.changed() {
			member.AddOffset(req, samplesTopic(), n, p.next, p.at.String())
		}
	}
	return nil
}

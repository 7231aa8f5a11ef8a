package main

import (
	"errors"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// warm is how many seconds the engine runs beyond the time for which it keeps
// samples before it is measured: blocks of samples are then used again, as they
// are in a processor that has run for long.
const warm = 180

// A sink encodes what the engine publishes, as the processor does.
type sink struct {
	enc             wire.CostEncoder
	facts, activity int
	err             error
}

func (s *sink) Costs(c *schemas.Costs) {
	if _, err := s.enc.Encode(c); err != nil {
		s.err = err
		return
	}
	s.facts += c.Len()
}

func (s *sink) Activity(rows []schemas.Activity) { s.activity += len(rows) }

func (s *sink) Report(schemas.DeadLetter) {}

// A runner is an engine with a fleet: every second what arrived is decoded and
// added, and the horizon moves. Allocation events arrive a second after their
// instant.
type runner struct {
	fleet  *fleet
	engine *engine.Engine
	dec    wire.SampleDecoder
	batch  schemas.Samples
	out    sink

	archive *archive.Disk // nil = none
	next    int           // message
	event   int           // allocation event
}

// newRunner runs the fleet up to where the measurement begins.
func newRunner(f *fleet, o options, early int64) (*runner, error) {
	cfg := engine.Config{
		Window: 60_000, Grace: 30_000, EarlyEvery: early, KeepSamples: int64(o.keep) * 1000, Epsilon: 10_000, IdleMemory: 1 << 30,
	}
	if o.archive != nil {
		cfg.Archive, cfg.Hot, cfg.KeepSamples = o.archive, cfg.KeepSamples/2, 45*86_400_000
	}
	e, err := engine.New(cfg)
	if err != nil {
		return nil, err
	}
	r := &runner{fleet: f, engine: e, archive: o.archive}
	for i := range f.resources {
		e.AddResource(&f.resources[i])
	}
	for i := range f.prices {
		e.AddPrice(&f.prices[i])
	}
	for i := range f.tags {
		e.AddTag(&f.tags[i])
	}
	if err := r.run(0, f.warm); err != nil {
		return nil, err
	}
	r.out.facts = 0
	return r, nil
}

// run goes on from one second to another.
func (r *runner) run(from, to int) error {
	f := r.fleet
	for second := from; second < to; second++ {
		for ; r.next < f.arrived[second]; r.next++ {
			if err := r.dec.Decode(&r.batch, f.messages.at(r.next)); err != nil {
				return err
			}
			r.engine.AddSamples(&r.batch)
		}
		now := begin + int64(second)*1000
		for ; r.event < len(f.allocations) && f.allocations[r.event].TS <= now-1000; r.event++ {
			r.engine.AddAllocation(&f.allocations[r.event])
		}
		r.engine.Advance(now, false, &r.out)
		if r.archive == nil {
			continue
		}
		if err := errors.Join(r.engine.Err(), r.archive.Commit([]byte("benchmark"))); err != nil {
			return err
		}
	}
	return r.out.err
}

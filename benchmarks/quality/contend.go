package main

import (
	"errors"
	"time"

	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// begin is the first instant of every fleet: 2026-06-01T01:00:00Z.
const begin = 1_780_275_600_000

// turn is how much event time, in ms, passes between two looks of the engine.
const turn = 1000

// A contender is a detector and what it announced.
type contender struct {
	name   string
	alerts []alert
}

// A contest is one fleet that all contenders have seen.
type contest struct {
	truth      *truth
	contenders []contender
}

// contend runs one fleet.
func contend(o options, seed uint64) (*contest, error) {
	cfg := fleet.DefaultConfig()
	cfg.Seed, cfg.GPUs, cfg.Interval, cfg.Start = seed, o.gpus, o.interval, time.UnixMilli(begin)
	f, err := fleet.New(cfg)
	if err != nil {
		return nil, err
	}
	r, err := newRunner()
	if err != nil {
		return nil, err
	}
	end := begin + o.span.Milliseconds()
	for t := int64(begin); t < end; {
		t = min(t+turn, end)
		if err := f.Step(t, r); err != nil {
			return nil, err
		}
		if err := r.advance(t); err != nil {
			return nil, err
		}
	}
	return &contest{
		truth: newTruth(append(f.Ended(), f.Open()...), begin, end),
		contenders: []contender{
			{"gpumeter", r.alerts},
			{"timer that any blip resets", r.blip.alerts},
			{"exact zero for half an hour", r.zero.alerts},
		},
	}, nil
}

// A runner hands what a fleet says to the engine, what the engine says to the
// detector, and the samples to the simple detectors.
type runner struct {
	batch    contract.Batch
	engine   *engine.Engine
	detector *idle.Detector
	records  int64
	alerts   []alert
	risen    map[string]bool // findings that are alerts
	err      error

	held holders
	blip timer
	zero timer
}

func newRunner() (*runner, error) {
	rules := processor.DefaultRules()
	rules.State.Samples = 12 * time.Hour // longer than any fault: the sample before one loses its reach when the next comes
	rules.Early.Every = 0
	e, err := engine.New(rules.Engine())
	if err != nil {
		return nil, err
	}
	d, err := idle.New(idle.Config{Default: idle.DefaultSettings()})
	if err != nil {
		return nil, err
	}
	return &runner{
		engine: e, detector: d, risen: map[string]bool{}, held: newHolders(),
		blip: newTimer(rules.Engine().Epsilon), zero: newTimer(0),
	}, nil
}

// Sample implements source.Sink.
func (r *runner) Sample(s *contract.Sample) error {
	r.held.sample(s, &r.blip, &r.zero)
	if !r.batch.Add(s) {
		r.flush()
		r.batch.Add(s)
	}
	return nil
}

func (r *runner) flush() {
	r.engine.AddSamples(&r.batch.Samples)
	r.batch.Reset()
}

// Allocation implements source.Sink.
func (r *runner) Allocation(a schemas.Allocation) error {
	r.held.allocation(&a, &r.blip, &r.zero)
	r.engine.AddAllocation(&a)
	return nil
}

// Resource implements source.Sink.
func (r *runner) Resource(x schemas.Resource) error {
	r.engine.AddResource(&x)
	return nil
}

// Price implements source.Sink.
func (r *runner) Price(p schemas.Price) error {
	r.engine.AddPrice(&p)
	return nil
}

// Tag implements source.Sink.
func (r *runner) Tag(t schemas.Tag) error {
	r.engine.AddTag(&t)
	return nil
}

// Process implements source.Sink.
func (r *runner) Process(schemas.Process) error { return nil }

// DeadLetter implements source.Sink.
func (r *runner) DeadLetter(l schemas.DeadLetter) error { return errors.New(l.Detail) }

// advance moves the engine's horizon to t.
func (r *runner) advance(t int64) error {
	r.flush()
	r.engine.Advance(t, false, r)
	return r.err
}

// Costs implements engine.Output.
func (r *runner) Costs(*schemas.Costs) {}

// Report implements engine.Output. A fleet leaves nothing to report.
func (r *runner) Report(l schemas.DeadLetter) {
	r.err = errors.Join(r.err, errors.New(l.Reason+": "+l.Detail))
}

// Activity implements engine.Output.
func (r *runner) Activity(rows []schemas.Activity) {
	r.records++
	for _, f := range r.detector.Add(r.records, rows) {
		if f.Severity == schemas.SeverityAlert && !r.risen[f.Finding] {
			r.risen[f.Finding] = true
			r.alerts = append(r.alerts, alert{allocation: f.Allocation, threshold: f.ThresholdAt})
		}
	}
}

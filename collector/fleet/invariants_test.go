package fleet

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A series is a GPU or slice by the ids of events.
type series struct{ node, gpu, slice string }

// TestConservation: a device or slice has one holder, but where shares say
// otherwise, and shares never add up to more than the device; what starts ends
// once, and only what started changes.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configure(rapid.Uint64().Draw(t, "seed"), 8*rapid.IntRange(1, 12).Draw(t, "nodes"))
		cfg.Interval = time.Duration(rapid.IntRange(5, 10).Draw(t, "interval")) * time.Second
		f, r := make1(t, cfg), &tape{}
		if err := f.Step(f.Start()+2*hour, r); err != nil {
			t.Fatal(err)
		}
		b := books{holds: map[string][]schemas.GPURef{}, devices: map[series][]schemas.GPURef{}, over: map[string]bool{}}
		for i := range r.allocations {
			if err := b.take(&r.allocations[i]); err != nil {
				t.Fatal(err)
			}
		}
		if open := f.Open(); len(open) != len(b.holds) || len(f.Ended()) != len(b.over) {
			t.Errorf("the truth knows %d open allocations, the events %d", len(open), len(b.holds))
		}
	})
}

// books keep who holds what.
type books struct {
	holds   map[string][]schemas.GPURef
	devices map[series][]schemas.GPURef // whole devices, without the slice
	over    map[string]bool
}

func (b *books) take(a *schemas.Allocation) error {
	held, there := b.holds[a.Allocation]
	switch {
	case b.over[a.Allocation]:
		return fmt.Errorf("%s after the end of %s", a.Event, a.Allocation)
	case (a.Event == schemas.EventStart) == there:
		return fmt.Errorf("%s of %s, started before: %v", a.Event, a.Allocation, there)
	case a.Event == schemas.EventStart:
		b.holds[a.Allocation] = a.GPUs
		for _, g := range a.GPUs {
			at := series{g.Node, g.GPU, ""}
			b.devices[at] = append(b.devices[at], g)
			if err := fits(b.devices[at]); err != nil {
				return fmt.Errorf("start of %s: %w", a.Allocation, err)
			}
		}
	case a.Event == schemas.EventEnd:
		for _, g := range held {
			at := series{g.Node, g.GPU, ""}
			i := slices.Index(b.devices[at], g)
			b.devices[at] = slices.Delete(b.devices[at], i, i+1)
		}
		delete(b.holds, a.Allocation)
		b.over[a.Allocation] = true
	}
	return nil
}

func fits(held []schemas.GPURef) error {
	sum, slicesHeld, unshared := int32(0), map[string]bool{}, 0
	for _, g := range held {
		sum += g.Share
		if g.Slice != "" && slicesHeld[g.Slice] {
			return fmt.Errorf("slice %s is held twice", g.Slice)
		}
		slicesHeld[g.Slice] = true
		if g.Share == 0 {
			unshared++
		}
	}
	if sum > 1_000_000 || sum > 0 && unshared > 0 || unshared > 3 {
		return fmt.Errorf("%d ppm are given and %d holders have no share: %+v", sum, unshared, held)
	}
	return nil
}

// A taken is one sample, by what rule 4 makes of it.
type taken struct {
	ts     int64 // ms since the fleet's start
	active bool
}

// readAll takes a fleet's samples down by series.
func readAll(t *rapid.T, f *Fleet, until int64) map[series][]taken {
	threshold := map[string]uint32{}
	for _, n := range f.nodes {
		threshold[n.name] = n.offer.gpu.threshold
	}
	all := map[series][]taken{}
	r := &tape{}
	r.sample = func(s *contract.Sample) {
		active := s.Power != schemas.Absent32 && s.Power > threshold[s.Node]
		for _, v := range []uint32{s.Utilization, s.SMActive, s.TensorActive} {
			active = active || v != schemas.Absent32 && v > 10_000
		}
		at := series{s.Node, s.GPU, s.Slice}
		all[at] = append(all[at], taken{s.TS - f.Start(), active})
	}
	if err := f.Step(f.Start()+until, r); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSamplesAgreeWithTheTruth: what is unknown is what no sample speaks for by
// rule 2, and a sample between two of one phase shows that phase.
func TestSamplesAgreeWithTheTruth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configure(rapid.Uint64().Draw(t, "seed"), 64)
		cfg.Interval = time.Duration(rapid.IntRange(8, 10).Draw(t, "interval")) * time.Second
		f := make1(t, cfg)
		const span = 2 * hour
		samples := readAll(t, f, span)
		checked := 0
		for _, truth := range append(f.Ended(), f.Open()...) {
			for _, name := range truth.GPUs {
				at, shared := f.find(name)
				if shared {
					continue
				}
				checked++
				check(t, f, &truth, name, samples[at], span)
			}
		}
		if checked < 40 {
			t.Errorf("%d holds checked", checked)
		}
	})
}

// find gives the ids of a label of the truth, and whether its samples show others,
// too.
func (f *Fleet) find(label string) (at series, mixed bool) {
	for _, s := range f.slots {
		for _, seat := range s.seats {
			if seat.label() != label {
				continue
			}
			at = series{seat.gpu.node.name, seat.gpu.id, ""}
			if seat.slice != nil {
				at.slice = seat.slice.id
			}
			return at, s.kind == shared
		}
	}
	return at, true
}

func check(t *rapid.T, f *Fleet, truth *Truth, name string, all []taken, span int64) {
	end := span
	if truth.End != nil {
		end = *truth.End
	}
	inside := slices.DeleteFunc(slices.Clone(all), func(s taken) bool { return s.ts < truth.Start || s.ts >= end })
	var unknown []Stretch
	at := truth.Start // up to where samples spoke
	for i, s := range inside {
		since := max(at, s.ts-3*f.interval)
		if since > at {
			unknown = append(unknown, Stretch{at, since})
		}
		if idle := truth.isIdle(since, s.ts); s.ts > since && truth.Class != Partial && idle != nil && *idle == s.active {
			t.Fatalf("%s on %s: sample %d at %d speaks for [%d, %d) as active %v, the truth is idle %v", truth.Allocation, name, i, s.ts, since, s.ts, s.active, *idle)
		}
		at = s.ts
	}
	if end-at > f.interval { // while it ran, nobody knew more
		unknown = append(unknown, Stretch{at, end})
	}
	var told []Stretch
	for _, u := range truth.Unknown {
		if u.GPU == name {
			told = append(told, u.Stretch)
		}
	}
	if !slices.Equal(told, unknown) {
		t.Fatalf("%s on %s, [%d, %d): unknown %v by its truth, %v by rule 2", truth.Allocation, name, truth.Start, end, told, unknown)
	}
}

// isIdle tells whether all of [from, to) was idle; nil where it was both.
func (t *Truth) isIdle(from, to int64) *bool {
	idle := int64(0)
	for _, s := range t.Idle {
		idle += max(0, min(to, s.To)-max(from, s.From))
	}
	if idle > 0 && idle < to-from {
		return nil
	}
	all := idle > 0
	return &all
}

// TestEverythingHappens: a day of a middling fleet has each class, faults, queue
// gaps, gangs, shared GPUs, and all kinds of findings.
func TestEverythingHappens(t *testing.T) {
	f, r := make1(t, configure(2, 256)), &tape{}
	if err := f.Step(f.Start()+24*hour, r); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, truth := range append(f.Ended(), f.Open()...) {
		seen[string(truth.Class)]++
		if len(truth.GPUs) > perNode {
			seen["gang"]++
		}
		if len(truth.Unknown) > 0 {
			seen["unknown "+string(truth.Class)]++
		}
		for _, e := range truth.Findings {
			seen["finding"]++
			if e.ThresholdAt != nil {
				seen["alert of "+string(truth.Class)]++
			}
			if e.ResolvedAt != nil && truth.End != nil && *e.ResolvedAt < *truth.End {
				seen["resolved by work"]++
			}
		}
		if truth.IdleCost < 0 || (truth.IdleCost > 0) != (truth.IdleGPUMs > 0) {
			t.Errorf("%s was idle for %d GPU-ms that cost %d", truth.Allocation, truth.IdleGPUMs, truth.IdleCost)
		}
	}
	for _, c := range classes() {
		if seen[string(c)] == 0 {
			t.Errorf("no %s in a day", c)
		}
		may := c == Stalled || c == Finished || c == KeepAlive || c == Notebook
		if n := seen["alert of "+string(c)]; (n > 0) != may {
			t.Errorf("%d alerts of %s", n, c)
		}
	}
	for _, what := range []string{"gang", "unknown training", "unknown stalled", "finding", "resolved by work"} {
		if seen[what] == 0 {
			t.Errorf("no %s in a day: %v", what, seen)
		}
	}
}

package main

import (
	"slices"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// alertAfter is the time without activity that makes an alert.
const alertAfter = 30 * 60_000

// A timer is a detector that people write first: an allocation is idle when none
// of its GPUs has reported activity above a bound for half an hour of the clock.
// Whatever is above it starts the time anew.
type timer struct {
	above  uint32           // ppm
	since  map[string]int64 // last activity of each allocation
	open   map[string]bool
	alerts []alert
}

func newTimer(above uint32) timer {
	return timer{above: above, since: map[string]int64{}, open: map[string]bool{}}
}

func (t *timer) sample(allocation string, ts int64, activity uint32) {
	switch since := t.since[allocation]; {
	case activity > t.above:
		t.since[allocation], t.open[allocation] = ts, false
	case ts-since >= alertAfter && !t.open[allocation]:
		t.open[allocation] = true
		t.alerts = append(t.alerts, alert{allocation: allocation, threshold: ts})
	}
}

// holders know who holds what.
type holders struct {
	of    map[place][]string
	where map[string][]place
}

type place struct{ node, gpu, slice string }

func newHolders() holders { return holders{map[place][]string{}, map[string][]place{}} }

func (h holders) allocation(a *schemas.Allocation, timers ...*timer) {
	switch a.Event {
	case schemas.EventStart:
		for _, g := range a.GPUs {
			at := place{g.Node, g.GPU, g.Slice}
			h.of[at] = append(h.of[at], a.Allocation)
			h.where[a.Allocation] = append(h.where[a.Allocation], at)
		}
		for _, t := range timers {
			t.since[a.Allocation] = a.TS
		}
	case schemas.EventEnd:
		for _, at := range h.where[a.Allocation] {
			h.of[at] = slices.DeleteFunc(h.of[at], func(id string) bool { return id == a.Allocation })
		}
		delete(h.where, a.Allocation)
	}
}

func (h holders) sample(s *contract.Sample, timers ...*timer) {
	activity := uint32(0)
	for _, v := range []uint32{s.Utilization, s.SMActive, s.TensorActive} {
		if v != schemas.Absent32 {
			activity = max(activity, v)
		}
	}
	for _, id := range h.of[place{s.Node, s.GPU, s.Slice}] {
		for _, t := range timers {
			t.sample(id, s.TS, activity)
		}
	}
}

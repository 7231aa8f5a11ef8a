package engine_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

const start = 1_780_275_600_000 // 2026-06-01T01:00:00Z

func resource(name string, scheduler bool, gpus ...string) *schemas.Resource {
	return &schemas.Resource{
		Node: "n1", Resource: name, Provider: "p", PricingCategory: "owned", GPUs: gpus, From: start, Scheduler: scheduler, IdleWatts: schemas.Absent32,
	}
}

// reading is one sample of n1 whose other values are not reported.
func reading(gpu string, seconds int64, utilization uint32) *schemas.Samples {
	var b contract.Batch
	b.Add(&contract.Sample{
		Node: "n1", Series: schemas.Series{GPU: gpu, MemoryTotal: schemas.Absent64}, TS: start + seconds*1000, Utilization: utilization,
		SMActive: schemas.Absent32, TensorActive: schemas.Absent32, DRAMActive: schemas.Absent32, MemoryUsed: schemas.Absent64,
		Power: schemas.Absent32, Energy: schemas.Absent64, Temperature: schemas.Absent16,
	})
	return &b.Samples
}

func held(event, name string, seconds int64, gpus ...string) *schemas.Allocation {
	a := &schemas.Allocation{TS: start + seconds*1000, Event: event, Allocation: name, ReqGPUs: -1, ReqWalltime: -1}
	for _, g := range gpus {
		a.HasGPUs = true
		a.GPUs = append(a.GPUs, schemas.GPURef{Node: "n1", GPU: g})
	}
	return a
}

func TestNewRefuses(t *testing.T) {
	for name, change := range map[string]func(*engine.Config){
		"window":           func(c *engine.Config) { c.Window = 7_000 },
		"no window":        func(c *engine.Config) { c.Window = 0 },
		"grace":            func(c *engine.Config) { c.Grace = -1 },
		"early":            func(c *engine.Config) { c.EarlyEvery = -1 },
		"kept too shortly": func(c *engine.Config) { c.KeepSamples = 60_000 },
		"epsilon":          func(c *engine.Config) { c.Epsilon = 1_000_001 },
	} {
		cfg := config()
		change(&cfg)
		if _, err := engine.New(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// A window is early every ten seconds while open, final thirty seconds after its
// end, and restated whenever an event changes it.
func TestEarlyFinalRestated(t *testing.T) {
	e, l := newEngine(t, config()), newLedger(t)
	e.AddResource(resource("r", false, "g"))
	cell := key{"n1", "r", "g", start}
	want := func(step string, revision int, final bool) {
		t.Helper()
		if l.revision[cell] != revision || l.final[cell] != final {
			t.Errorf("%s: revision %d final %v, want %d %v", step, l.revision[cell], l.final[cell], revision, final)
		}
	}
	e.Advance(start+10_000, false, l)
	want("10 s", 1, false)
	e.Advance(start+12_000, false, l)
	want("12 s: nothing is due", 1, false)
	e.Advance(start+20_000, false, l)
	want("20 s", 2, false)
	e.AddSamples(reading("g", 70, 0))
	e.Advance(start+60_000, false, l)
	want("60 s", 3, false)
	e.Advance(start+80_000, false, l)
	want("80 s: a sample at 70 s speaks back to 40 s", 4, false)
	e.Advance(start+90_000, false, l)
	want("90 s", 5, true)
	e.AddSamples(reading("g", 5, 0))
	e.Advance(start+91_000, false, l)
	want("a late sample", 6, true)
	e.AddSamples(reading("g", 5, 0))
	e.AddResource(resource("r", false, "g"))
	e.Advance(start+92_000, false, l)
	want("nothing new", 6, true)
	if f := l.cells[cell]; len(f) != 2 || f[0].state != schemas.StateUnallocated || f[0].runs != "[0 5000 40000 60000]" || f[1].runs != "[5000 40000]" {
		t.Errorf("rows %s", lines(f))
	}
}

// A resource that turns out never to have had a GPU takes its cells with it.
func TestCellsThatLoseTheirRowsAreEmptied(t *testing.T) {
	e, l := newEngine(t, config()), newLedger(t)
	e.AddResource(resource("r", true, "g"))
	e.Advance(start+130_000, false, l)
	if len(l.cells[key{"n1", "r", "g", start}]) != 1 {
		t.Fatalf("cells %v", l.cells)
	}
	gone := resource("r", true, "g")
	gone.To = start
	e.AddResource(gone)
	e.Advance(start+140_000, false, l)
	for k, facts := range l.cells {
		if len(facts) > 0 {
			t.Errorf("%v still has %s", k, lines(facts))
		}
	}
}

// Only nodes of the engine's partition have cells; samples of others are ignored.
func TestOwns(t *testing.T) {
	cfg := config()
	cfg.Owns = func(node string) bool { return node != "n1" }
	e, l := newEngine(t, cfg), newLedger(t)
	e.AddResource(resource("r", true, "g"))
	e.AddSamples(reading("g", 5, 0))
	e.AddAllocation(held(schemas.EventStart, "a", 0, "g"))
	e.Advance(start+600_000, true, l)
	if l.rows != 0 || len(l.letters) != 0 {
		t.Errorf("%d rows, letters %v", l.rows, l.letters)
	}
}

func TestReports(t *testing.T) {
	cfg := config()
	cfg.Reports = func(allocation string) bool { return allocation != "of another engine" }
	e, l := newEngine(t, cfg), newLedger(t)
	e.AddResource(resource("r", true, "g"))
	e.AddAllocation(held(schemas.EventEnd, "ghost", 5))
	e.AddAllocation(held(schemas.EventUpdate, "of another engine", 5))
	e.AddAllocation(held(schemas.EventEnd, "late start", 5))
	e.AddAllocation(held(schemas.EventStart, "b", 6, "g2"))
	e.AddSamples(reading("g3", 7, 0))
	for _, price := range []int64{1, 2} {
		e.AddPrice(&schemas.Price{Provider: "p", PricingCategory: "owned", Currency: "USD", PerHour: price, From: start})
	}
	e.Advance(start+29_000, false, l)
	if len(l.letters) != 0 {
		t.Errorf("before the grace is over: %v", l.letters)
	}
	e.AddAllocation(held(schemas.EventStart, "late start", 1, "g"))
	e.Advance(start+40_000, false, l)
	e.Advance(start+600_000, true, l)
	var got []string
	for _, d := range l.letters {
		got = append(got, d.Stream+" "+d.Place+" "+d.Reason)
	}
	slices.Sort(got)
	want := []string{"allocations ghost no_start", "allocations n1/g2 no_resource", "prices p///owned price_conflict", "samples n1/g3 no_resource"}
	if !slices.Equal(got, want) {
		t.Errorf("letters\n got %s\nwant %s", strings.Join(got, ", "), strings.Join(want, ", "))
	}
}

// What needs samples that are not kept any more is reported, once a GPU, and
// changes nothing.
func TestTooLate(t *testing.T) {
	cfg := config()
	cfg.KeepSamples = 10 * 60_000
	e, l := newEngine(t, cfg), newLedger(t)
	e.AddResource(resource("r", false, "g"))
	for s := int64(0); s < 7200; s += 5 {
		e.AddSamples(reading("g", s, 500_000))
		e.Advance(start+s*1000, false, l)
	}
	before := l.revision[key{"n1", "r", "g", start}]
	e.AddAllocation(held(schemas.EventStart, "late", 30, "g"))
	e.AddSamples(reading("g", 31, 0))
	e.Advance(start+7201_000, false, l)
	e.AddAllocation(held(schemas.EventEnd, "late", 7000))
	e.Advance(start+7202_000, false, l)
	if got := l.revision[key{"n1", "r", "g", start}]; got != before {
		t.Errorf("a cell without its samples was restated: revision %d, was %d", got, before)
	}
	if len(l.letters) != 1 || l.letters[0].Reason != schemas.ReasonTooLate || l.letters[0].Place != "n1/g" {
		t.Errorf("letters %v", l.letters)
	}
	if f := l.cells[key{"n1", "r", "g", start + 6900_000}]; len(f) != 1 || f[0].allocation != "late" {
		t.Errorf("what is kept is restated: %s", lines(f))
	}
}

// An engine that is made anew behind a gap leaves what was final before it, and
// says unknown of the gap.
func TestSamplesBeforeAreLost(t *testing.T) {
	cfg := config()
	cfg.LostBefore = start + 5*60_000
	e, l := newEngine(t, cfg), newLedger(t)
	e.AddResource(resource("r", false, "g"))
	e.AddAllocation(held(schemas.EventStart, "a", 0, "g"))
	e.Advance(start+5*60_000+30_000, false, nil) // as committed
	e.AddSamples(reading("g", 8*60, 500_000))
	e.AddPrice(&schemas.Price{Provider: "p", PricingCategory: "owned", Currency: "USD", PerHour: 1, From: start})
	e.Advance(start+20*60_000, true, l)
	if f, told := l.cells[key{"n1", "r", "g", start + 4*60_000}]; told {
		t.Errorf("a cell whose samples are gone was published again: %s", lines(f))
	}
	if f := l.cells[key{"n1", "r", "g", start + 6*60_000}]; len(f) != 1 || f[0].state != schemas.StateUnknown {
		t.Errorf("in the gap: %s", lines(f))
	}
	if len(l.letters) != 1 || l.letters[0].Reason != schemas.ReasonTooLate {
		t.Errorf("letters %v", l.letters)
	}
}

// Advance is called every second for 80,000 GPUs: while nothing is due it costs
// nothing that grows with them.
func TestAdvanceIsIdleWhileNothingIsDue(t *testing.T) {
	e, l := newEngine(t, config()), newLedger(t)
	for _, r := range []string{"r1", "r2"} {
		e.AddResource(resource(r, true, "g0", "g1"))
	}
	e.Advance(start+100_000, false, l)
	rows, h := l.rows, int64(start+100_000)
	if n := testing.AllocsPerRun(50, func() { h += 100; e.Advance(h, false, l) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if l.rows != rows {
		t.Errorf("%d rows published while nothing was due", l.rows-rows)
	}
}

// The engine keeps nothing of what it is handed.
func TestInputsMayBeUsedAgain(t *testing.T) {
	e, l := newEngine(t, config()), newLedger(t)
	r, a, s := resource("r", true, "g"), held(schemas.EventStart, "a", 0, "g"), reading("g", 5, 500_000)
	e.AddResource(r)
	e.AddAllocation(a)
	e.AddSamples(s)
	r.GPUs[0], a.GPUs[0].GPU, s.TS[0], s.Series[0].GPU = "x", "x", 0, "x"
	e.Advance(start+60_000, true, l)
	f := l.cells[key{"n1", "r", "g", start}]
	if len(f) != 2 || f[0].state != schemas.StateActive || f[0].allocation != "a" {
		t.Errorf("rows %s", lines(f))
	}
}

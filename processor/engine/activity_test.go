package engine_test

import (
	"bytes"
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
)

// worldMost is longer than any world.
const worldMost = worldLen + 120_000

// A hold of one allocation on one GPU or slice.
type grasp struct{ allocation, node, gpu, slice string }

// A timeline is the state of each millisecond of a world, 0 = unknown or not held.
type timeline [worldMost]uint8

func (l *timeline) set(from, to int64, state uint8) {
	from, to = max(from-worldStart, 0), min(to-worldStart, worldMost)
	if from < to {
		copy(l[from:to], bytes.Repeat([]byte{state}, int(to-from)))
	}
}

// spent is a hold's time in a state.
type spent struct {
	grasp
	state uint8
}

// A listener hears what detectors hear, and keeps the cells beside it.
type listener struct {
	*ledger
	said      map[grasp]*timeline
	cost      map[spent]int64 // of all rows; right where nothing was said twice
	watermark int64
}

func newListener(t rapid.TB) *listener {
	return &listener{ledger: newLedger(t), said: map[grasp]*timeline{}, cost: map[spent]int64{}}
}

func (l *listener) Activity(rows []schemas.Activity) {
	for _, r := range rows {
		if r.Allocation == "" {
			if r.From <= l.watermark {
				l.t.Errorf("watermark %d after %d", r.From, l.watermark)
			}
			l.watermark = r.From
			continue
		}
		if r.From > r.To || (r.From == r.To) != (r.State == schemas.StateReleased) || r.State != schemas.StateReleased && r.Width == 0 {
			l.t.Errorf("%+v", r)
		}
		g := grasp{r.Allocation, r.Node, r.GPU, r.Slice}
		if l.said[g] == nil {
			l.said[g] = new(timeline)
		}
		if r.State == schemas.StateReleased {
			l.said[g].set(r.From, worldStart+worldMost, 0)
			continue
		}
		if r.State == uint32(schemas.StateUnknown) {
			r.State = 0
		}
		l.said[g].set(r.From, r.To, uint8(r.State))
		l.cost[spent{g, uint8(r.State)}] += r.Cost
	}
}

// written is what the cells say of holds: a timeline and the cost of each state.
func (l *ledger) written() (map[grasp]*timeline, map[spent]int64) {
	lines, cost := map[grasp]*timeline{}, map[spent]int64{}
	for k, facts := range l.cells {
		for _, f := range facts {
			if f.allocation == "" || f.state > schemas.StateIdle {
				continue
			}
			g := grasp{f.allocation, k.node, k.gpu, f.slice}
			if lines[g] == nil {
				lines[g] = new(timeline)
			}
			for i := 0; i < len(f.stretches); i += 2 {
				lines[g].set(k.window+int64(f.stretches[i]), k.window+int64(f.stretches[i+1]), f.state)
			}
			cost[spent{g, f.state}] += f.list
		}
	}
	return lines, cost
}

// ended is a world in which every hold ends.
func ended(t *rapid.T) *input {
	in := drawWorld(t)
	for _, name := range []string{"a", "b", "c"} {
		in.allocations = append(in.allocations, schemas.Allocation{
			TS: worldStart + worldLen + 30_000, Event: schemas.EventEnd, Allocation: name, ReqGPUs: -1, ReqWalltime: -1,
		})
	}
	in.horizon = worldStart + worldMost - 1
	return in
}

func compareTimelines(t *rapid.T, said, written map[grasp]*timeline) {
	for g := range merged(said, written) {
		a, b := said[g], written[g]
		if a == nil {
			a = new(timeline)
		}
		if b == nil {
			b = new(timeline)
		}
		for i := range a {
			if a[i] != b[i] {
				t.Errorf("%+v at %d ms: said %d, written %d", g, i, a[i], b[i])
				break
			}
		}
	}
}

// What is said of a hold that is over is what its cells say, to the nano.
func TestActivityIsWhatCellsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := ended(t)
		e, l := newEngine(t, config()), newListener(t)
		in.feed(e)
		e.Advance(in.horizon, true, l)
		lines, cost := l.written()
		compareTimelines(t, l.said, lines)
		for s := range cost {
			if l.cost[s] != cost[s] {
				t.Errorf("%+v: said %d nano, written %d", s, l.cost[s], cost[s])
			}
		}
	})
}

// The same live, in steps, with samples that come late; and nothing changes when
// an engine is recovered in the middle.
func TestActivityLive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := ended(t)
		step := rapid.SampledFrom([]int64{250, 1_000, 7_003}).Draw(t, "step")
		late := rapid.SampledFrom([]int64{0, 0, 5_000, 40_000}).Draw(t, "late")
		crash := worldStart + rapid.Int64Range(0, worldLen).Draw(t, "crash")
		due := map[*schemas.Samples]int64{}
		for _, s := range in.samples {
			due[s] = s.TS[0] + rapid.Int64Range(0, late).Draw(t, "delay")
		}
		slices.SortStableFunc(in.samples, func(a, b *schemas.Samples) int { return cmp.Compare(due[a], due[b]) })
		e, l := newEngine(t, config()), newListener(t)
		in.feedReferences(e)
		next := 0
		for h := int64(worldStart); h < in.horizon; h += step {
			for ; next < len(in.samples) && due[in.samples[next]] < h; next++ {
				e.AddSamples(in.samples[next])
			}
			e.Advance(h, false, l)
			if h-step < crash && crash <= h {
				e = newEngine(t, config())
				in.feedReferences(e)
				for _, s := range in.samples[:next] {
					e.AddSamples(s)
				}
				e.Advance(h, false, nil)
			}
		}
		e.Advance(in.horizon, true, l)
		lines, _ := l.written()
		compareTimelines(t, l.said, lines)
	})
}

// Idle time is said up to the newest sample at once, active time in whole
// steps, and a release when it happens.
func TestWhatIsSaidWhen(t *testing.T) {
	e := newEngine(t, config())
	const start = 1_780_279_200_000
	e.AddResource(&schemas.Resource{Node: "n", Resource: "r", Provider: "p", SKU: "x", GPUs: []string{"g", "h"}, From: start, PricingCategory: "owned", IdleWatts: schemas.Absent32})
	e.AddPrice(&schemas.Price{Provider: "p", SKU: "x", PricingCategory: "owned", Currency: "USD", PerHour: 7_200_000_000, From: start})
	e.AddAllocation(&schemas.Allocation{
		TS: start, Event: schemas.EventStart, Allocation: "a", HasGPUs: true, GPUs: []schemas.GPURef{{Node: "n", GPU: "g"}, {Node: "other", GPU: "g"}},
		User: "u", Name: "job", HasLabels: true, Labels: []schemas.Label{{Key: "phase", Value: "train"}, {Key: "team", Value: "red"}}, ReqGPUs: -1, ReqWalltime: -1,
	})
	var got []schemas.Activity
	second := func(k int64, util uint32) {
		b := &schemas.Samples{Node: "n", Series: []schemas.Series{{GPU: "g", Interval: 1000}}}
		b.Index, b.TS, b.Utilization = []uint16{0}, []int64{start + 1000*k}, []uint32{util}
		b.SMActive, b.TensorActive, b.DRAMActive = []uint32{schemas.Absent32}, []uint32{schemas.Absent32}, []uint32{schemas.Absent32}
		b.MemoryUsed, b.Power, b.Energy, b.Temperature = []uint64{2 << 30}, []uint32{schemas.Absent32}, []uint64{schemas.Absent64}, []int16{schemas.Absent16}
		e.AddSamples(b)
		l := &rows{}
		e.Advance(start+1000*k+1, false, l)
		got = l.said
	}
	expect := func(state uint32, from, to int64) {
		t.Helper()
		if len(got) != 1 || got[0].State != state || got[0].From != start+1000*from || got[0].To != start+1000*to {
			t.Fatalf("said %+v, want state %d in [%d s, %d s)", got, state, from, to)
		}
	}
	second(1, 0)
	expect(2, 0, 1)
	want := schemas.Activity{
		Allocation: "a", Node: "n", GPU: "g", Engine: 0, State: 2, From: start, To: start + 1000, Width: 2, Held: start, User: "u", Name: "job",
		Team: "red", Phase: "train", Currency: "USD", Cost: 1_000_000, PerHour: 3_600_000_000, MemoryUsed: 2 << 30,
	}
	if got[0] != want {
		t.Errorf("said %+v\nwant %+v", got[0], want)
	}
	second(2, 0)
	expect(2, 1, 2)
	for k := int64(3); k < 30; k++ {
		if second(k, 900_000); len(got) != 0 {
			t.Fatalf("at %d s: %+v", k, got)
		}
	}
	second(31, 900_000)
	expect(1, 2, 30)
	second(32, 0)
	if len(got) != 2 || got[0].State != 1 || got[0].To != start+31_000 || got[1].State != 2 || got[1].To != start+32_000 {
		t.Fatalf("said %+v", got)
	}
	e.AddAllocation(&schemas.Allocation{TS: start + 32_500, Event: schemas.EventEnd, Allocation: "a", ReqGPUs: -1, ReqWalltime: -1})
	second(33, 0)
	if n := len(got); n != 2 || got[0].To != start+32_500 || got[1].State != schemas.StateReleased || got[1].From != start+32_500 {
		t.Fatalf("said %+v", got)
	}
}

// rows keeps activity but watermarks.
type rows struct{ said []schemas.Activity }

func (r *rows) Activity(all []schemas.Activity) {
	for _, a := range all {
		if a.Allocation != "" {
			r.said = append(r.said, a)
		}
	}
}
func (*rows) Costs(*schemas.Costs)      {}
func (*rows) Report(schemas.DeadLetter) {}

var _ engine.Output = (*rows)(nil)

package engine

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// stored is what a series holds, counted and waiting.
func stored(s *series) (ts []int64) {
	for i := range s.n {
		ts = append(ts, s.at(i).ts)
	}
	return ts
}

func testEngine(t rapid.TB) *Engine {
	e, err := New(Config{Window: 60_000, KeepSamples: 600_000, Epsilon: 1, IdleMemory: 1})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// batchOf is samples of one GPU at the given instants.
func batchOf(ts ...int64) *schemas.Samples {
	n := len(ts)
	b := &schemas.Samples{Node: "n", Series: []schemas.Series{{GPU: "g", Interval: 1}}, TS: ts, Index: make([]uint16, n)}
	b.Utilization, b.SMActive, b.TensorActive, b.DRAMActive = make([]uint32, n), make([]uint32, n), make([]uint32, n), make([]uint32, n)
	b.MemoryUsed, b.Power, b.Energy, b.Temperature = make([]uint64, n), make([]uint32, n), make([]uint64, n), make([]int16, n)
	return b
}

// Whatever the order of arrival and of horizons, the counted samples are those
// before the horizon, sorted, each instant once, and searches find their places.
func TestSeriesIsASortedSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := testEngine(t)
		all := map[int64]bool{}
		horizon := int64(0)
		for range rapid.IntRange(1, 6).Draw(t, "batches") {
			ts := rapid.SliceOfN(rapid.Int64Range(1, 600), 1, 200).Draw(t, "ts")
			if rapid.Bool().Draw(t, "sorted") {
				slices.Sort(ts)
			}
			for _, x := range ts {
				all[x] = true
			}
			e.AddSamples(batchOf(ts...))
			horizon = max(horizon, rapid.Int64Range(0, 700).Draw(t, "horizon"))
			e.horizon = horizon
			e.countAll()
			checkSeries(t, e.nodes["n"].gpus["g"].series[0], all, horizon)
		}
	})
}

func checkSeries(t *rapid.T, s *series, all map[int64]bool, horizon int64) {
	var want []int64
	for x := range all {
		if x < horizon {
			want = append(want, x)
		}
	}
	slices.Sort(want)
	if got := stored(s)[:s.done]; !slices.Equal(got, want) {
		t.Fatalf("counted\n got %v\nwant %v", got, want)
	}
	for range 5 {
		at := rapid.Int64Range(-1, 701).Draw(t, "search")
		n, found := slices.BinarySearch(want, at)
		if found {
			n++
		}
		if got := s.after(at); got != n {
			t.Fatalf("after(%d) = %d, want %d of %v", at, got, n, want)
		}
	}
}

// Of two samples at one instant the greatest stays: the fields of the input
// contract in its order, absent lowest.
func TestCompareSamples(t *testing.T) {
	names := newTexts()
	a, b := names.of("a"), names.of("b")
	absent := sample{
		util: schemas.Absent32, sm: schemas.Absent32, tensor: schemas.Absent32, dram: schemas.Absent32, mem: schemas.Absent64,
		memTotal: schemas.Absent64, power: schemas.Absent32, energy: schemas.Absent64, temp: schemas.Absent16,
	}
	change := func(f func(*sample)) sample {
		s := absent
		f(&s)
		return s
	}
	ascending := []sample{
		absent,
		change(func(s *sample) { s.temp = -40 }),
		change(func(s *sample) { s.energy, s.temp = 0, 0 }),
		change(func(s *sample) { s.power = 0 }),
		change(func(s *sample) { s.memTotal = 0 }),
		change(func(s *sample) { s.mem = 0 }),
		change(func(s *sample) { s.dram = 0 }),
		change(func(s *sample) { s.tensor = 0 }),
		change(func(s *sample) { s.sm = 0 }),
		change(func(s *sample) { s.util = 0 }),
		change(func(s *sample) { s.util = 1 }),
		change(func(s *sample) { s.interval = 1 }),
		change(func(s *sample) { s.model = a }),
		change(func(s *sample) { s.model = b }),
		change(func(s *sample) { s.ts = 1 }),
	}
	for i := range ascending {
		for k := range ascending {
			if got := names.compare(&ascending[i], &ascending[k]); got != compareInt(int64(i), int64(k)) {
				t.Errorf("compare(%d, %d) = %d", i, k, got)
			}
		}
	}
}

// Fully shuffled input is sorted once, not inserted one by one: a million samples
// take seconds at most.
func TestShuffledSamplesAreSortedOnce(t *testing.T) {
	const n = 1_000_000
	ts := make([]int64, n)
	for i := range ts {
		ts[i] = int64(i*7_919%n) + 1 // 7919 is prime to n: every instant once
	}
	e := testEngine(t)
	e.AddSamples(batchOf(ts...))
	e.horizon = n + 1
	e.countAll()
	if s := e.nodes["n"].gpus["g"].series[0]; s.done != n || s.at(0).ts != 1 || s.at(n-1).ts != n {
		t.Errorf("%d counted, first %d, last %d", s.done, s.at(0).ts, s.at(n-1).ts)
	}
}

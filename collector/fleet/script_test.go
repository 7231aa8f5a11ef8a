package fleet

import (
	"testing"

	"pgregory.net/rapid"
)

func classes() []Class {
	return []Class{Training, Checkpoint, Stalled, Finished, Partial, MemoryBound, Sweep, Duplicate, Notebook, KeepAlive, Inference, LowInference}
}

// judge applies the rule to a script alone.
func judge(s script) (alerts int) {
	j := &job{phases: s.phases, end: s.length}
	busy := make([]bool, s.length/1000)
	for i := range busy {
		busy[i] = j.busy(int64(i)*1000, int64(i+1)*1000, 0) > 0
	}
	w := newWatch(1, len(busy))
	w.add(busy, nil)
	for _, e := range w.findings(0, nil) {
		if e.ThresholdAt != nil {
			alerts++
		}
	}
	return alerts
}

// TestScripts: phases are in order, on whole seconds and inside; what wastes is an
// alert, and what must not be one is none.
func TestScripts(t *testing.T) {
	always := map[Class]bool{Stalled: true, Finished: true, KeepAlive: true}
	sometimes := map[Class]bool{Notebook: true}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(classes()).Draw(t, "class")
		interval := 1000 * rapid.Int64Range(1, 10).Draw(t, "interval")
		s := c.write(roll(rapid.Uint64().Draw(t, "seed")), interval)
		last := int64(0)
		for _, p := range s.phases {
			if p.from < last || p.to <= p.from || p.to > s.length || p.from%1000 != 0 || p.to%1000 != 0 {
				t.Fatalf("phase %+v after %d in a script of %d ms", p, last, s.length)
			}
			if c == KeepAlive && (p.from%interval != 0 || p.to%interval != 0) {
				t.Fatalf("phase %+v is off the grid of %d ms", p, interval)
			}
			last = p.to
		}
		if s.length < 60_000 || s.length%1000 != 0 {
			t.Fatalf("%d ms long", s.length)
		}
		if alerts := judge(s); !sometimes[c] && (alerts > 0) != always[c] {
			t.Errorf("%s has %d alerts in %d ms: %+v", c, alerts, s.length, s.phases)
		}
	})
}

// TestSkip: a job that is found in the midst of its script goes on with the rest
// of it.
func TestSkip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(classes()).Draw(t, "class").write(roll(rapid.Uint64().Draw(t, "seed")), 10_000)
		ms := 1000 * rapid.Int64Range(0, s.length/1000-1).Draw(t, "skip")
		from := 1000 * rapid.Int64Range(0, s.length/1000).Draw(t, "from")
		whole := &job{phases: s.phases, end: s.length}
		want := whole.busy(ms+from, ms+from+60_000, 0)
		cut := &job{phases: append([]phase(nil), s.phases...), end: s.length}
		cut.skip(ms)
		if got := cut.busy(from, from+60_000, 0); got != want || cut.end != s.length-ms {
			t.Errorf("works %d of a minute and ends at %d, want %d and %d", got, cut.end, want, s.length-ms)
		}
	})
}

// TestBusyLooksBack: readings of two nodes of one job come in turn.
func TestBusyLooksBack(t *testing.T) {
	j := &job{start: 5000, phases: []phase{{0, 10_000, 0}, {20_000, 30_000, 1}}}
	for _, c := range []struct {
		from, to int64
		n        int
		want     int64
	}{
		{5000, 6000, 0, 1000},
		{14_000, 26_000, 0, 2000},
		{14_000, 26_000, 1, 1000},
		{60_000, 70_000, 0, 0},
		{10_000, 35_000, 0, 15_000},
		{95_000, 99_000, 0, 0},
		{35_000, 36_000, 0, 0},
		{34_000, 36_000, 0, 1000},
		{0, 5000, 0, 0},
	} {
		if got := j.busy(c.from, c.to, c.n); got != c.want {
			t.Errorf("GPU %d works %d ms of [%d, %d), want %d", c.n, got, c.from, c.to, c.want)
		}
	}
}

package meter

import (
	"testing"

	"pgregory.net/rapid"
)

// Two partitions; the log of ticks is what the test says.
func at(next, time int64, refs int64) *reader {
	r := &reader{next: next, time: time}
	for i := range refTicks {
		r.refs[i], r.refTimes[i] = refs, time
	}
	return r
}

func ends(samples, refs int64) ([]int64, Refs) {
	return []int64{samples, samples}, Refs{refs, refs, refs, refs, 0}
}

func TestClock(t *testing.T) {
	pulse := func(offset, time int64) view { return view{pulse: tick{offset: offset, time: time}} }
	named := func(ticks ...tick) view { return view{pulse: tick{offset: -1}, named: ticks} }
	steps := []struct {
		name string
		view view
		at   *reader
		want Position
	}{
		{"no tick, no time", view{pulse: tick{offset: -1}}, at(100, 5000, 100), Position{}},
		{"everything read: the tick's time", pulse(0, 9000), at(100, 5000, 100), Position{Horizon: 9000}},
		{"idle inputs do not hold time back", pulse(0, 9000), at(100, 0, 100), Position{Horizon: 9000}},
		{"samples lag: what was read of them", pulse(0, 9000), at(99, 5000, 100), Position{Horizon: 5000}},
		{"references lag: what was read of them", pulse(0, 9000), at(100, 4000, 99), Position{Horizon: 4000}},
		{"nothing was read yet", pulse(0, 9000), at(0, 0, 0), Position{}},
		{"what was read is newer than the tick", pulse(0, 9000), at(99, 9500, 100), Position{Horizon: 9000}},
		{"barrier: all read", named(tick{horizon: 700, final: true}), at(100, 5000, 100), Position{Horizon: 700, Final: true, Applied: 1}},
		{"barrier: samples lag", named(tick{horizon: 700, final: true}), at(99, 5000, 100), Position{}},
		{"barrier: references lag", named(tick{horizon: 700, final: true}), at(100, 5000, 99), Position{}},
		{"barriers in a row", named(tick{horizon: 700}, tick{offset: 4, horizon: 800}), at(100, 0, 100), Position{Horizon: 800, Applied: 5}},
		{"a barrier never moves time back", named(tick{horizon: 800, final: true}, tick{offset: 1, horizon: 700}), at(100, 0, 100), Position{Horizon: 800, Final: true, Applied: 2}},
		{"the end of a replay at the broker's time", named(tick{time: 9000, final: true}), at(100, 0, 100), Position{Horizon: 9000, Final: true, Applied: 1}},
	}
	for _, s := range steps {
		t.Run(s.name, func(t *testing.T) {
			c := clock{pulse: mark{tick: tick{offset: -1}}}
			samples, refs := ends(100, 100)
			c.mark(&s.view, samples, refs)
			var got Position
			c.advance(&got, s.at)
			if got != s.want {
				t.Errorf("got %v, want %v", got, s.want)
			}
			if c.news(&s.view) {
				t.Error("the clock has seen all ticks and asks for more")
			}
		})
	}
}

// A turn that is slower than the ticks always sees ends that it has not read.
// It must get on all the same, by the ends of the tick before.
func TestClockOfASlowTurn(t *testing.T) {
	c := clock{pulse: mark{tick: tick{offset: -1}}}
	var p Position
	for i := int64(1); i <= 5; i++ {
		samples, refs := ends(i*10, i*10)
		c.mark(&view{pulse: tick{offset: i, time: i * 1000}}, samples, refs)
		r := at(i*10-5, 1, i*10-5) // half a turn behind; its last reference event is ancient
		c.advance(&p, r)
		if want := (i - 1) * 1000; p.Horizon < want {
			t.Fatalf("after %d ticks the horizon is %d, want %d", i, p.Horizon, want)
		}
	}
}

// Whatever ticks come and whatever is read in between, a horizon never moves
// back, and is never later than the append time of something unread.
func TestClockProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Inputs: append times of the samples and of one reference topic.
		samples := rising(t, "samples")
		refs := rising(t, "refs")
		c := clock{pulse: mark{tick: tick{offset: -1}}}
		var p Position
		var readS, readR int
		for i := range rapid.IntRange(1, 20).Draw(t, "turns") {
			now := rapid.Int64Range(1, 1000).Draw(t, "now")
			v := view{pulse: tick{offset: int64(i), time: max(now, c.pulse.time)}}
			// What is in the logs when the tick has been seen: all that was
			// appended before it, and perhaps more.
			endS := until(samples, v.pulse.time) + rapid.IntRange(0, 1).Draw(t, "more samples")
			endR := until(refs, v.pulse.time) + rapid.IntRange(0, 1).Draw(t, "more refs")
			endS, endR = min(endS, len(samples)), min(endR, len(refs))
			c.mark(&v, []int64{int64(endS)}, Refs{int64(endR)})
			readS = rapid.IntRange(readS, max(readS, endS)).Draw(t, "read samples")
			readR = rapid.IntRange(readR, max(readR, endR)).Draw(t, "read refs")
			r := &reader{next: int64(readS), refs: Refs{int64(readR)}}
			if readS > 0 {
				r.time = samples[readS-1]
			}
			if readR > 0 {
				r.refTimes[0] = refs[readR-1]
			}
			before := p.Horizon
			c.advance(&p, r)
			if p.Horizon < before {
				t.Fatalf("the horizon moved back from %d to %d", before, p.Horizon)
			}
			if readS < len(samples) && samples[readS] < p.Horizon || readR < len(refs) && refs[readR] < p.Horizon {
				t.Fatalf("horizon %d, but something appended before it is unread", p.Horizon)
			}
		}
	})
}

func rising(t *rapid.T, name string) []int64 {
	steps := rapid.SliceOfN(rapid.Int64Range(0, 60), 0, 20).Draw(t, name)
	var at int64
	for i := range steps {
		at += steps[i]
		steps[i] = at
	}
	return steps
}

// until is how many of times lie at or before t.
func until(times []int64, t int64) int {
	n := 0
	for n < len(times) && times[n] <= t {
		n++
	}
	return n
}

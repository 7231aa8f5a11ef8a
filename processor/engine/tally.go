package engine

import (
	"math"
	"math/bits"

	"github.com/gpumeter/gpumeter/schemas"
)

// A tally is what the samples of one state say in one span.
type tally struct {
	loadMs, loadSum uint64 // ms with a load, and its sum in ppm x ms
	utilMs, utilSum uint64
	smMs, smSum     uint64
	energy          uint64 // mJ of the whole device or slice
	mem             uint64
	measured        bool // energy is known
	resident        bool // mem is known
}

// A run is a stretch of one state.
type run struct {
	from, to int64
	state    uint8
}

// A tallyman walks the samples of a span and keeps a tally for each state.
type tallyman struct {
	tallies [schemas.StateUnknown + 1]tally
	used    uint8 // bit s: tallies[s] is in use
	runs    []run
}

func (t *tallyman) reset() { t.used, t.runs = 0, t.runs[:0] }

// of is the tally of a state.
func (t *tallyman) of(state uint8) *tally {
	if bit := uint8(1) << state; t.used&bit == 0 {
		t.used |= bit
		t.tallies[state] = tally{}
	}
	return &t.tallies[state]
}

// run adds [from, to) of a state behind what is there; there is no gap.
func (t *tallyman) run(state uint8, from, to int64) {
	if n := len(t.runs) - 1; n >= 0 && t.runs[n].state == state {
		t.runs[n].to = to
		return
	}
	t.runs = append(t.runs, run{from, to, state})
}

// add counts ms milliseconds for which s speaks.
func (y *tally) add(s *sample, ms int64) {
	d := uint64(ms)
	if s.util != schemas.Absent32 {
		y.utilMs += d
		y.utilSum += uint64(s.util) * d
	}
	if s.sm != schemas.Absent32 {
		y.smMs += d
		y.smSum += uint64(s.sm) * d
	}
	if load, ok := s.load(); ok {
		y.loadMs += d
		y.loadSum += uint64(load) * d
	}
	if s.mem != schemas.Absent64 {
		y.mem, y.resident = max(y.mem, s.mem), true
	}
}

// burn counts the energy of ms milliseconds before s, by the counter: floor(1000
// x joules x ms / step) mJ, step being the time since the previous sample.
func (y *tally) burn(prev, s *sample, ms int64) {
	if prev.energy == schemas.Absent64 || s.energy == schemas.Absent64 || s.energy < prev.energy {
		return
	}
	y.measured = true
	joules, step := s.energy-prev.energy, uint64(s.ts-prev.ts)
	if joules < 1<<40 && uint64(ms) < 1<<12 { // no product above 64 bits
		if uint64(ms) == step {
			y.energy += 1000 * joules
		} else {
			y.energy += 1000 * joules * uint64(ms) / step
		}
		return
	}
	y.energy = addCapped(y.energy, scale(joules, 1000*uint64(ms), step))
}

// scale is floor(v x num / den), capped at what 64 bits hold.
func scale(v, num, den uint64) uint64 {
	hi, lo := bits.Mul64(v, num)
	if hi >= den {
		return math.MaxUint64 - 1
	}
	q, _ := bits.Div64(hi, lo, den)
	return q
}

func addCapped(a, b uint64) uint64 {
	if sum := a + b; sum >= a && sum != schemas.Absent64 {
		return sum
	}
	return math.MaxUint64 - 1
}

// mean is floor(sum / ms), absent when there is no time.
func mean(sum, ms uint64) uint32 {
	if ms == 0 {
		return schemas.Absent32
	}
	return uint32(sum / ms)
}

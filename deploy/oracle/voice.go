package oracle

import (
	"cmp"
	"math/big"
	"slices"
)

// A voice is a stretch of a piece for which one sample speaks, or none.
type voice struct {
	from, to int64 // ms
	sample   *sample
	previous *sample // in the piece, where the voice goes back to or towards it
}

// voices covers a piece with what the samples of one series say (rule 2).
func (l *Ledger) voices(p piece, key series) []voice {
	spoken := []voice{}
	if p.owned {
		spoken = speak(p, inPiece(l.samples[key], p))
	}
	var all []voice
	t := p.from
	for _, v := range spoken {
		if t < v.from {
			all = append(all, voice{from: t, to: v.from})
		}
		if v.from < v.to {
			all = append(all, v)
		}
		t = v.to
	}
	if t < p.to {
		all = append(all, voice{from: t, to: p.to})
	}
	return all
}

func inPiece(all []sample, p piece) []sample {
	byTime := func(s sample, t int64) int { return cmp.Compare(s.ts, t) }
	from, _ := slices.BinarySearchFunc(all, p.from, byTime)
	to, _ := slices.BinarySearchFunc(all, p.to, byTime)
	return all[from:to]
}

// speak gives every sample the time back to the previous one, three intervals
// at most, and the last one as much ahead.
func speak(p piece, samples []sample) []voice {
	var spoken []voice
	for i := range samples {
		s := &samples[i]
		v := voice{from: max(p.from, s.ts-s.span()), to: s.ts, sample: s}
		if i > 0 {
			v.previous = &samples[i-1]
			v.from = max(v.from, v.previous.ts)
		}
		spoken = append(spoken, v)
		if i == len(samples)-1 {
			spoken = append(spoken, voice{from: s.ts, to: min(s.ts+s.span(), p.to), sample: s})
		}
	}
	return spoken
}

// energy is the voice's part in mJ of what its counter rose by, for the o ms of
// it that lie in a row; nil when there is none.
func (v *voice) energy(o int64) *big.Int {
	if v.previous == nil || o <= 0 || v.sample.energy == Absent || v.previous.energy == Absent || v.sample.energy < v.previous.energy {
		return nil
	}
	mJ := big.NewInt(v.sample.energy - v.previous.energy)
	mJ.Mul(mJ, big.NewInt(1000)).Mul(mJ, big.NewInt(o))
	return mJ.Div(mJ, big.NewInt(v.sample.ts-v.previous.ts))
}

// state is what the voice's time is for a rectangle of a record (rules 3 and 4).
func (l *Ledger) state(r *record, held bool, v voice) State {
	switch {
	case !held && (r.Scheduler || v.sample != nil):
		return Unallocated
	case v.sample == nil:
		return Unknown
	}
	s := v.sample
	activity := max(s.utilization, s.smActive, s.tensorActive)
	switch {
	case activity == Absent:
		return Unknown
	case activity > l.opt.Epsilon:
		return Active
	case s.power != Absent && r.IdleWatts != Absent && s.power > r.IdleWatts:
		return Active
	case s.memoryUsed != Absent && s.memoryUsed >= l.opt.IdleMemory:
		return IdleHeld
	}
	return Idle
}

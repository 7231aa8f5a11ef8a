package engine

import "github.com/gpumeter/gpumeter/schemas"

// A voice is how samples are heard: for a holder, or for time that nobody holds.
type voice struct {
	series    *series
	held      bool
	scheduler bool   // time that nobody holds is unallocated, sampled or not
	idleWatts uint32 // of the resource
}

// silent is the state of time that no sample speaks for.
func (v *voice) silent() uint8 {
	if !v.held && v.scheduler {
		return schemas.StateUnallocated
	}
	return schemas.StateUnknown
}

// hear is rule 2 in the piece [p0, p1): it tallies what the samples of v say of
// [a, b) inside it. A sample speaks for the time since the previous one of the
// piece or the piece's start, three intervals at most; the last one also forward.
//
//	p0      a     s0       s1            s2  b      p1
//	[-------[-----*--------*   ......----*---)......)
//	          s0     s1      unsampled  s2  s2
func (e *Engine) hear(v *voice, p0, p1, a, b int64) {
	e.tally.reset()
	i := v.series.after(a)
	at := a
	var prev *sample
	if i > 0 && v.series.at(i-1).ts >= p0 {
		prev = v.series.at(i - 1)
	}
	for ; at < b && i < v.series.done; i++ {
		s := v.series.at(i)
		if s.ts >= p1 {
			break
		}
		from := max(p0, s.ts-s.reach())
		if prev != nil {
			from = max(from, prev.ts)
		}
		if from > at { // no sample speaks for the time before
			e.tally.silence(v, at, min(from, b))
			at = min(from, b)
		}
		if to := min(s.ts, b); to > at {
			e.say(v, prev, s, at, to)
			at = to
		}
		prev = s
	}
	v.series.cursor = i
	if prev != nil && at < b {
		if to := min(prev.ts+prev.reach(), p1, b); to > at {
			e.say(v, nil, prev, at, to)
			at = to
		}
	}
	e.tally.silence(v, at, b)
}

// silence tallies [from, to) for which no sample speaks; nothing when it is empty.
func (t *tallyman) silence(v *voice, from, to int64) {
	if from < to {
		t.of(v.silent())
		t.run(v.silent(), from, to)
	}
}

// say tallies [from, to) for which s speaks. prev is its predecessor in the piece
// when the time lies before s, nil otherwise.
func (e *Engine) say(v *voice, prev, s *sample, from, to int64) {
	state := schemas.StateUnallocated
	if v.held {
		state = e.state(s, v.idleWatts)
	}
	y := e.tally.of(state)
	y.add(s, to-from)
	if prev != nil {
		y.burn(prev, s, to-from)
	}
	e.tally.run(state, from, to)
}

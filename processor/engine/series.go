package engine

import "slices"

// A series holds the samples of one GPU or slice:
//
//	samples  [ sorted, one per instant, counted | arrivals, as they came ]
//	         0                               done                      len
//
// Arrivals in order, the rule, are appended where they will stay: counting them
// moves done. Others are sorted and merged when they are counted.
type series struct {
	gpu     *gpu
	slice   text
	name    string // of the slice
	samples []sample
	done    int
	cursor  int  // where the last search ended
	jumbled bool // arrivals are not all later than what is before them
	queued  bool // in Engine.arrived
}

// counted is what the ledger knows.
func (s *series) counted() []sample { return s.samples[:s.done] }

// add takes one arrival and tells whether it may touch a window that is final.
func (s *series) add(x *sample, final int64) (late bool) {
	n := len(s.samples)
	if n == 0 {
		late = x.ts-x.reach() < final
	} else if last := s.samples[n-1].ts; last < x.ts {
		late = last < final
	} else {
		late, s.jumbled = true, true
	}
	s.samples = append(s.samples, *x)
	return late
}

// after is the number of counted samples with ts <= t. Searches go forward in
// time, mostly by little: they gallop from where the last one ended.
func (s *series) after(t int64) int {
	in := s.counted()
	lo, hi := min(s.cursor, len(in)), len(in)
	if lo > 0 && in[lo-1].ts > t {
		lo, hi = 0, lo-1
	} else {
		for step := 1; lo+step <= len(in); step *= 2 {
			if in[lo+step-1].ts > t {
				hi = lo + step - 1
				break
			}
			lo += step
		}
	}
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); in[mid].ts <= t {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	s.cursor = lo
	return lo
}

// count moves the arrivals before the horizon among the counted samples and
// marks what they can change. What waits is left for a later horizon.
func (e *Engine) count(s *series) {
	if s.jumbled {
		e.merge(s)
		return
	}
	from := s.done
	for s.done < len(s.samples) && s.samples[s.done].ts < e.horizon {
		s.done++
	}
	if from < s.done {
		e.markRun(s, from, s.done)
	}
}

// markRun marks what the new samples [i, j) change, given that everything before
// them was counted before. Each speaks back to its predecessor or three intervals,
// and forward until the next one. The one before them was perhaps the last of its
// piece and spoke forward, beyond them too; the one behind them spoke back into them, and its
// energy is counted from its predecessor.
func (e *Engine) markRun(s *series, i, j int) {
	in := s.samples
	if i > 0 {
		before := &in[i-1]
		e.mark(s.gpu, before.ts, before.ts+before.reach())
	}
	for k := i; k < j; k++ {
		x := &in[k]
		from, to := x.ts-x.reach(), x.ts+x.reach()
		if k > 0 {
			from = max(from, in[k-1].ts)
		}
		if k+1 < s.done {
			to = min(to, in[k+1].ts)
		}
		e.mark(s.gpu, from, to)
	}
	if j < s.done {
		behind := &in[j]
		from := behind.ts - behind.reach()
		if i > 0 {
			from = max(from, in[i-1].ts)
		}
		e.mark(s.gpu, from, behind.ts)
	}
}

// merge counts arrivals that came in any order: n·log n for n arrivals, and one
// copy of what is later than the earliest of them.
func (e *Engine) merge(s *series) {
	arrivals := e.distinct(s.samples[s.done:])
	waiting := len(arrivals)
	for waiting > 0 && arrivals[waiting-1].ts >= e.horizon {
		waiting--
	}
	ready, later := arrivals[:waiting], arrivals[waiting:]
	s.jumbled = false
	if len(ready) == 0 {
		s.samples = append(s.samples[:s.done], later...)
		return
	}
	first := s.after(ready[0].ts - 1)
	e.merged, e.fresh = e.interleave(e.merged[:0], e.fresh[:0], s.samples[first:s.done], ready)
	s.samples = append(append(s.samples[:first], e.merged...), later...)
	s.done = first + len(e.merged)
	e.markFresh(s, first)
}

// distinct sorts arrivals into the engine's scratch: of one instant the greatest.
func (e *Engine) distinct(arrivals []sample) []sample {
	e.arrivals = append(e.arrivals[:0], arrivals...)
	slices.SortFunc(e.arrivals, func(a, b sample) int { return e.texts.compare(&a, &b) })
	out := e.arrivals[:0]
	for i := range e.arrivals {
		if n := len(out); n > 0 && out[n-1].ts == e.arrivals[i].ts {
			out[n-1] = e.arrivals[i]
			continue
		}
		out = append(out, e.arrivals[i])
	}
	return out
}

// interleave merges two sorted lists into out; fresh tells for each whether it
// was not there before. Of one instant the greater stays.
func (e *Engine) interleave(out []sample, fresh []bool, old, new []sample) ([]sample, []bool) {
	for len(old) > 0 && len(new) > 0 {
		switch {
		case old[0].ts < new[0].ts:
			out, fresh, old = append(out, old[0]), append(fresh, false), old[1:]
		case old[0].ts > new[0].ts:
			out, fresh, new = append(out, new[0]), append(fresh, true), new[1:]
		case e.texts.compare(&old[0], &new[0]) >= 0:
			out, fresh, old, new = append(out, old[0]), append(fresh, false), old[1:], new[1:]
		default:
			x := new[0]
			e.replaced = max(e.replaced, old[0].reach())
			out, fresh, old, new = append(out, x), append(fresh, true), old[1:], new[1:]
		}
	}
	for range old {
		fresh = append(fresh, false)
	}
	for range new {
		fresh = append(fresh, true)
	}
	return append(append(out, old...), new...), fresh
}

// markFresh marks runs of new samples, fresh[k] being that of sample first+k. A
// replaced sample may have had a longer reach than the one that took its place.
func (e *Engine) markFresh(s *series, first int) {
	for k := 0; k < len(e.fresh); k++ {
		if !e.fresh[k] {
			continue
		}
		end := k + 1
		for end < len(e.fresh) && e.fresh[end] {
			end++
		}
		i, j := first+k, first+end
		e.markRun(s, i, j)
		if e.replaced > 0 {
			e.mark(s.gpu, s.samples[i].ts-e.replaced, s.samples[j-1].ts+e.replaced)
		}
		k = end
	}
	e.replaced = 0
}

// forget drops counted samples before cut, but the last of them: the window at
// cut needs its predecessor.
func (s *series) forget(cut int64) {
	n := s.after(cut-1) - 1
	if n <= 0 {
		return
	}
	s.samples = s.samples[:copy(s.samples, s.samples[n:])]
	s.done -= n
	s.cursor = 0
}

package engine

import "slices"

// A jumble is the scratch of merging arrivals that came out of order.
type jumble struct {
	arrivals []sample
	old      []sample // counted ones from the earliest arrival on
	merged   []sample
	fresh    []bool // merged[k] was not there before
	replaced int64  // greatest reach of a sample that another replaced
}

// merge counts arrivals that came in any order: n·log n for n arrivals, and one
// copy of what is later than the earliest of them.
func (e *Engine) merge(s *series) {
	e.recollect(s.gpu)
	m := &e.jumble
	ready := e.distinct(s)
	if len(ready) > 0 && ready[0].ts < s.gpu.hot {
		ready = e.mergeCold(s, ready)
	}
	n := len(ready)
	for n > 0 && ready[n-1].ts >= e.horizon {
		n--
	}
	ready, later := ready[:n], ready[n:]
	s.jumbled = false
	first := s.done
	if len(ready) > 0 {
		first = s.before(ready[0].ts)
	}
	if first > 0 {
		e.stir(s, s.at(first-1).ts)
	} else {
		e.stir(s, forever)
	}
	m.old = s.copyTo(m.old[:0], first, s.done)
	e.truncate(s, first)
	e.interleave(ready)
	e.put(s, m.merged)
	s.settle(s.n)
	e.put(s, later)
	e.markFresh(s, first)
}

func (s *series) copyTo(dst []sample, from, to int) []sample {
	for i := from; i < to; {
		block := s.blocks[i/sampleBlockLen]
		end := min(to, i-i%sampleBlockLen+sampleBlockLen)
		dst = append(dst, block[i%sampleBlockLen:i%sampleBlockLen+end-i]...)
		i = end
	}
	return dst
}

// distinct sorts the arrivals of s into scratch: of one instant the greatest.
func (e *Engine) distinct(s *series) []sample {
	all := s.copyTo(e.jumble.arrivals[:0], s.done, s.n)
	e.jumble.arrivals = all
	slices.SortFunc(all, func(a, b sample) int { return e.texts.compare(&a, &b) })
	out := all[:0]
	for i := range all {
		if n := len(out); n > 0 && out[n-1].ts == all[i].ts {
			out[n-1] = all[i]
			continue
		}
		out = append(out, all[i])
	}
	return out
}

// interleave merges sorted arrivals with e.jumble.old. Of one instant the greater
// stays.
func (e *Engine) interleave(ready []sample) {
	m := &e.jumble
	old := m.old
	m.merged, m.fresh = m.merged[:0], m.fresh[:0]
	take := func(x *sample, fresh bool) { m.merged, m.fresh = append(m.merged, *x), append(m.fresh, fresh) }
	for len(old) > 0 && len(ready) > 0 {
		switch {
		case old[0].ts < ready[0].ts:
			take(&old[0], false)
			old = old[1:]
			continue
		case old[0].ts > ready[0].ts:
			take(&ready[0], true)
		case e.texts.compare(&old[0], &ready[0]) >= 0:
			take(&old[0], false)
			old = old[1:]
		default:
			m.replaced = max(m.replaced, old[0].reach())
			take(&ready[0], true)
			old = old[1:]
		}
		ready = ready[1:]
	}
	for i := range old {
		take(&old[i], false)
	}
	for i := range ready {
		take(&ready[i], true)
	}
}

// markFresh marks runs of new samples, fresh[k] being that of sample first+k. A
// replaced sample may have had a longer reach than the one that took its place.
func (e *Engine) markFresh(s *series, first int) {
	m := &e.jumble
	for k := 0; k < len(m.fresh); k++ {
		if !m.fresh[k] {
			continue
		}
		end := k + 1
		for end < len(m.fresh) && m.fresh[end] {
			end++
		}
		i, j := first+k, first+end
		e.markRun(s, i, j)
		if m.replaced > 0 {
			e.mark(s.gpu, s.at(i).ts-m.replaced, s.at(j-1).ts+m.replaced)
		}
		k = end
	}
	m.replaced = 0
}

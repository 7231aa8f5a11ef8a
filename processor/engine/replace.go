package engine

import "slices"

// grip identifies a hold of one allocation but for its end.
type grip struct {
	gpu   *gpu
	slice string
	share int32
	from  int64
}

// replace puts the holds that now follow in the place of those of the last fold
// and marks the difference. What only ends at another time changes from the
// earlier end on: the end of a month-old job does not recompute the month.
func (e *Engine) replace(al *allocation, now []placed) {
	if e.moveEnds(al, now) {
		return
	}
	var old map[grip]int64
	if len(al.holds) > 0 {
		old = make(map[grip]int64, len(al.holds))
	}
	for _, h := range al.holds {
		old[h.grip()] = h.to
	}
	for _, h := range now {
		to, was := old[h.grip()]
		delete(old, h.grip())
		if was {
			e.moveHold(al, h, to)
			continue
		}
		h.gpu.holds = append(h.gpu.holds, hold{al, h.slice, h.share, h.from, h.to})
		e.recut(h.gpu, h.from, h.to)
	}
	for key, to := range old {
		g := key.gpu
		g.holds = slices.DeleteFunc(g.holds, func(h hold) bool { return h.is(al, key) })
		e.recut(g, key.from, to)
	}
	al.holds = append(al.holds[:0], now...)
}

// moveEnds does it for the commonest change: the same holds end at another time.
func (e *Engine) moveEnds(al *allocation, now []placed) bool {
	if len(al.holds) == 0 || len(al.holds) != len(now) {
		return len(al.holds) == len(now)
	}
	for i := range now {
		if al.holds[i].grip() != now[i].grip() {
			return false
		}
	}
	for i := range now {
		e.moveHold(al, now[i], al.holds[i].to)
	}
	copy(al.holds, now)
	return true
}

// moveHold lets a hold that ended at to end at h.to.
func (e *Engine) moveHold(al *allocation, h placed, to int64) {
	if to == h.to {
		return
	}
	key := h.grip()
	i := slices.IndexFunc(h.gpu.holds, func(o hold) bool { return o.is(al, key) })
	h.gpu.holds[i].to = h.to
	e.recut(h.gpu, min(to, h.to), max(to, h.to))
}

func (h *placed) grip() grip { return grip{h.gpu, h.slice, h.share, h.from} }

// is tells whether h is the hold of al that key identifies.
func (h *hold) is(al *allocation, key grip) bool {
	return h.alloc == al && h.from == key.from && h.share == key.share && h.slice == key.slice
}

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
	if slices.Equal(al.holds, now) {
		return
	}
	old := make(map[grip]int64, len(al.holds))
	for _, h := range al.holds {
		old[grip{h.gpu, h.slice, h.share, h.from}] = h.to
	}
	for _, h := range now {
		key := grip{h.gpu, h.slice, h.share, h.from}
		to, was := old[key]
		delete(old, key)
		switch {
		case !was:
			h.gpu.holds = append(h.gpu.holds, hold{al, h.slice, h.share, h.from, h.to})
			e.recut(h.gpu, h.from, h.to)
		case to != h.to:
			h.gpu.find(al, key).to = h.to
			e.recut(h.gpu, min(to, h.to), max(to, h.to))
		}
	}
	for key, to := range old {
		g := key.gpu
		g.holds = slices.DeleteFunc(g.holds, func(h hold) bool {
			return h.alloc == al && h.slice == key.slice && h.share == key.share && h.from == key.from
		})
		e.recut(g, key.from, to)
	}
	al.holds = append(al.holds[:0], now...)
}

// find is the hold of al on g that key identifies; it is there.
func (g *gpu) find(al *allocation, key grip) *hold {
	return &g.holds[slices.IndexFunc(g.holds, func(h hold) bool {
		return h.alloc == al && h.slice == key.slice && h.share == key.share && h.from == key.from
	})]
}

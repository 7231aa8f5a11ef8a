package idle

import (
	"cmp"
	"slices"
)

// A sweep makes pieces of what several parts did. It is kept for its memory.
type sweep struct {
	edges  []edge
	widths []widthCount
}

// An edge is where a stretch begins (by = 1) or ends (by = −1).
type edge struct {
	at     int64
	by     int64
	active int64
	width  uint32
}

type widthCount struct {
	width uint32
	n     int64
}

// over appends pieces for [from, to): of each instant, which share of the GPUs
// that the allocation holds was measured, and which was active. It holds as many
// as the rows of the instant say, at least those that were measured.
func (w *sweep) over(parts []*part, from, to int64, l *line) {
	w.gather(parts, from, to)
	w.widths = w.widths[:0]
	var measured, active int64
	at := from
	for i := range w.edges {
		e := &w.edges[i]
		if e.at > at {
			w.push(l, at, e.at, measured, active)
			at = e.at
		}
		measured += e.by
		active += e.active
		w.count(e.width, e.by)
	}
	w.push(l, at, to, measured, active)
}

func (w *sweep) gather(parts []*part, from, to int64) {
	w.edges = w.edges[:0]
	for _, p := range parts {
		i, _ := slices.BinarySearchFunc(p.stretches, from, func(s stretch, t int64) int {
			if s.to <= t {
				return -1
			}
			return 1
		})
		for ; i < len(p.stretches) && p.stretches[i].from < to; i++ {
			s := &p.stretches[i]
			works := int64(0)
			if s.state == active {
				works = 1
			}
			w.edges = append(w.edges, edge{max(s.from, from), 1, works, s.width}, edge{min(s.to, to), -1, -works, s.width})
		}
	}
	slices.SortFunc(w.edges, func(a, b edge) int { return cmp.Compare(a.at, b.at) })
}

func (w *sweep) count(width uint32, by int64) {
	for i := range w.widths {
		if w.widths[i].width == width {
			w.widths[i].n += by
			return
		}
	}
	w.widths = append(w.widths, widthCount{width, by})
}

func (w *sweep) push(l *line, from, to, measured, active int64) {
	held := measured
	for _, c := range w.widths {
		if c.n > 0 {
			held = max(held, int64(c.width))
		}
	}
	if held == 0 {
		l.push(from, to, 0, 0)
		return
	}
	l.push(from, to, measured*whole/held, active*whole/held)
}

package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/money"
)

// A piece is a stretch of a GPU's time with one owner and one set of holders. It
// is not cut at the horizon.
type piece struct {
	from, to int64
	owner    *record
	k        uint32   // the GPU is the owner's k-th
	rest     uint32   // ppm: from here on nobody holds the GPU
	holders  []holder // in order of allocation id, then slice
}

// A holder is an allocation, seen from the GPU it holds, in one piece.
type holder struct {
	alloc       *allocation
	voices      *series      // whose samples speak for it
	attr        *attribution // found before, for this owner; nil = not yet
	share       int32
	x0, x1      uint32 // ppm of the GPU
	attribution uint8
}

// cut builds the stale pieces of g anew.
func (e *Engine) cut(g *gpu) {
	for g.stale != never { // a slice that is new may need older ones
		e.cutFrom(g, max(g.stale, g.base))
	}
}

// cutFrom builds the pieces of g from start on anew.
func (e *Engine) cutFrom(g *gpu, start int64) {
	g.stale, g.cursor = never, 0
	keep := len(g.pieces)
	for keep > 0 && g.pieces[keep-1].from >= start {
		keep--
	}
	clear(g.pieces[keep:])
	g.pieces = g.pieces[:keep]
	if keep > 0 {
		g.pieces[keep-1].to = min(g.pieces[keep-1].to, start)
	}
	e.cuts = g.cuts(e.cuts[:0], start)
	e.upcoming, e.held = g.upcoming(e.upcoming[:0], start), e.held[:0]
	for i := range max(0, len(e.cuts)-1) {
		e.turn(e.cuts[i])
		e.extend(g, e.cuts[i], e.cuts[i+1])
	}
}

// cuts lists the instants from start on where owner or holders may change.
func (g *gpu) cuts(dst []int64, start int64) []int64 {
	for _, s := range g.seats {
		if s.rec.end > max(start, s.rec.begin) {
			dst = append(dst, max(start, s.rec.begin), s.rec.end)
		}
	}
	for i := range g.holds {
		if h := &g.holds[i]; h.to > start {
			dst = append(dst, max(start, h.from), h.to)
		}
	}
	slices.Sort(dst)
	return slices.Compact(dst)
}

// upcoming lists the holds that last beyond start, by their beginning.
func (g *gpu) upcoming(dst []*hold, start int64) []*hold {
	for i := range g.holds {
		if h := &g.holds[i]; h.to > start {
			dst = append(dst, h)
		}
	}
	slices.SortFunc(dst, func(a, b *hold) int { return compareInt(a.from, b.from) })
	return dst
}

// turn brings e.held, who holds the GPU, to the instant t.
func (e *Engine) turn(t int64) {
	e.held = slices.DeleteFunc(e.held, func(h *hold) bool { return h.to <= t })
	n := 0
	for n < len(e.upcoming) && e.upcoming[n].from <= t {
		n++
	}
	if n == 0 {
		return
	}
	e.held = append(e.held, e.upcoming[:n]...)
	e.upcoming = e.upcoming[n:]
	slices.SortFunc(e.held, func(a, b *hold) int {
		return cmp.Or(strings.Compare(a.alloc.name, b.alloc.name), strings.Compare(a.slice, b.slice))
	})
}

// extend adds [from, to), where nothing changes, to the pieces of g.
func (e *Engine) extend(g *gpu, from, to int64) {
	owner := g.owner(from)
	if owner == nil {
		return
	}
	if n := len(g.pieces); n > 0 {
		if p := &g.pieces[n-1]; p.to == from && p.owner == owner.rec && p.heldBy(e.held) {
			p.to = to
			return
		}
	}
	p := piece{from: from, to: to, owner: owner.rec, k: owner.k}
	e.divide(g, &p)
	g.pieces = append(g.pieces, p)
}

// owner is the seat of the record that has g at t (rule 1), nil when none does.
func (g *gpu) owner(t int64) *seat {
	var best *seat
	for i := range g.seats {
		if s := &g.seats[i]; s.rec.alive(t) && (best == nil || s.rec.outranks(best.rec)) {
			best = s
		}
	}
	return best
}

func (p *piece) heldBy(held []*hold) bool {
	if len(p.holders) != len(held) {
		return false
	}
	for i, h := range held {
		if p.holders[i].alloc != h.alloc || p.holders[i].voices.name != h.slice || p.holders[i].share != h.share {
			return false
		}
	}
	return true
}

// divide gives the holders in e.held their parts of the GPU.
func (e *Engine) divide(g *gpu, p *piece) {
	if len(e.held) == 0 {
		return
	}
	e.shares = e.shares[:0]
	for _, h := range e.held {
		e.shares = append(e.shares, h.share)
	}
	e.bounds = bounds(e.bounds[:0], e.shares)
	p.holders = make([]holder, len(e.held))
	for i, h := range e.held {
		p.holders[i] = holder{
			alloc: h.alloc, voices: e.listens(g, h.slice), share: h.share,
			x0: e.bounds[i], x1: e.bounds[i+1], attribution: attributionOf(h, len(e.held)),
		}
	}
	p.rest = e.bounds[len(e.held)]
}

func attributionOf(h *hold, holders int) uint8 {
	switch {
	case h.slice != "":
		return schemas.AttributionSlice
	case h.share != 0:
		return schemas.AttributionGiven
	case holders == 1:
		return schemas.AttributionExclusive
	}
	return schemas.AttributionEqual
}

// whole tells whether the holders leave nothing of the GPU.
func (p *piece) whole() bool { return p.rest == money.Whole }

// pieceAt is the index of the first piece of g that ends after t.
func (g *gpu) pieceAt(t int64) int {
	i := min(g.cursor, len(g.pieces))
	if i > 0 && g.pieces[i-1].to > t || i < len(g.pieces) && g.pieces[i].to <= t {
		i, _ = slices.BinarySearchFunc(g.pieces, t, func(p piece, t int64) int {
			if p.to <= t {
				return -1
			}
			return 1
		})
	}
	g.cursor = i
	return i
}

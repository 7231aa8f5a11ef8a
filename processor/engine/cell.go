package engine

import (
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/money"
)

// compute makes the cell of one account and window as of the horizon: all rows of
// all records of the resource that have the GPU in it.
func (e *Engine) compute(g *gpu, acc *account, window int64) {
	e.cell.reset(window)
	end := min(window+e.cfg.Window, e.horizon)
	for _, s := range g.seats {
		if s.rec.res != acc.res {
			continue
		}
		if a, b := max(window, s.rec.begin), min(end, s.rec.end); a < b {
			e.sit(g, s, a, b)
		}
	}
}

// sit walks the pieces of g in [a, b), where the seat's record exists: its own
// ones, and stretches of those of another owner, which are time without holder or
// sample to it.
func (e *Engine) sit(g *gpu, s seat, a, b int64) {
	for i := g.pieceAt(a); a < b; i++ {
		p := &g.pieces[i]
		to := min(p.to, b)
		if p.owner == s.rec {
			e.span(g, p, a, to)
			a = to
			continue
		}
		for i+1 < len(g.pieces) && to < b && g.pieces[i+1].owner == p.owner {
			i++
			to = min(g.pieces[i].to, b)
		}
		e.shadow(s, a, to)
		a = to
	}
}

// span cuts [a, b) of a piece at the price.
func (e *Engine) span(g *gpu, p *piece, a, b int64) {
	steps := p.owner.price.steps
	for i := p.owner.price.at(a); a < b; i++ {
		to := min(b, startOf(steps, i+1))
		for k := range p.holders {
			e.holder(p, &p.holders[k], steps[i].row, a, to)
		}
		if !p.whole() {
			e.rest(g, p, steps[i].row, a, to)
		}
		a = to
	}
}

// holder cuts [a, b) where the attribution of one holder changes, and adds its
// rows.
func (e *Engine) holder(p *piece, h *holder, price *priceRow, a, b int64) {
	r := row{rec: p.owner, alloc: h.alloc, price: price, slice: h.voices.slice, sliceSum: h.voices.sum, attribution: h.attribution}
	r.x0, r.x1 = p.k*money.Whole+h.x0, p.k*money.Whole+h.x1
	v := voice{series: h.voices, held: true, idleWatts: p.owner.IdleWatts}
	if h.attr == nil || h.attr.rules != e.ruleVersion || h.attr.version != h.alloc.version {
		h.attr = e.attributionFor(h.alloc, p.owner)
	}
	e.attributed(r, h.attr, &v, p, a, b)
}

// rest adds the rows of what the holders of a piece leave.
func (e *Engine) rest(g *gpu, p *piece, price *priceRow, a, b int64) {
	r := row{rec: p.owner, price: price, attribution: schemas.AttributionNone}
	r.x0, r.x1 = p.k*money.Whole+p.rest, (p.k+1)*money.Whole
	v := voice{series: g.series[0], scheduler: p.owner.Scheduler}
	e.attributed(r, e.attributionFor(nil, p.owner), &v, p, a, b)
}

func (e *Engine) attributed(r row, attr *attribution, v *voice, p *piece, a, b int64) {
	p1 := min(p.to, e.horizon)
	for i := attr.at(a); a < b; i++ {
		to := b
		if i+1 < len(attr.steps) {
			to = min(b, attr.steps[i+1].from)
		}
		r.attr, r.from, r.to = &attr.steps[i], a, to
		e.hear(v, p.from, p1, a, to)
		e.close(r)
		a = to
	}
}

// shadow adds the rows of [a, b) in which another resource has the GPU: it is paid
// for here too, without holder or sample.
func (e *Engine) shadow(s seat, a, b int64) {
	v := voice{scheduler: s.rec.Scheduler}
	attr, steps := e.attributionFor(nil, s.rec), s.rec.price.steps
	for i, k := s.rec.price.at(a), attr.at(a); a < b; {
		to, nextPrice, nextStep := b, startOf(steps, i+1), int64(never)
		if k+1 < len(attr.steps) {
			nextStep = attr.steps[k+1].from
		}
		to = min(to, nextPrice, nextStep)
		r := row{rec: s.rec, price: steps[i].row, attr: &attr.steps[k], from: a, to: to}
		r.x0, r.x1 = s.k*money.Whole, (s.k+1)*money.Whole
		e.tally.reset()
		e.tally.silence(&v, a, to)
		e.close(r)
		if to == nextPrice {
			i++
		}
		if to == nextStep {
			k++
		}
		a = to
	}
}

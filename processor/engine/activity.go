package engine

import (
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/money"
)

// Detectors want to know at once what allocations do, and most of the time the
// answer is: they work. So active time is said up to whole steps only, and samples
// of a GPU that goes on working are looked at once a step. All other time is said up to the newest sample. So a recovered engine knows that
// what lies before the last whole step was said. Saying it again changes nothing.

// watermarkStep is how many ms of horizon lie between two watermarks.
const watermarkStep = 1_000

// busy tells whether every sample of rows [i, j) is active by its activity alone.
func (e *Engine) busy(b *schemas.Samples, i, j int) bool {
	util, sm, tensor := b.Utilization[i:j], b.SMActive[i:j], b.TensorActive[i:j]
	for k := range util {
		if max(util[k]+1, sm[k]+1, tensor[k]+1) <= e.cfg.Epsilon+1 {
			return false
		}
	}
	return true
}

// stir has the next Advance say what the GPU of s does. What was said from the
// instant `from` on may be wrong; never = nothing.
func (e *Engine) stir(s *series, from int64) {
	s.dirty = min(s.dirty, from)
	if !s.gpu.stirred {
		s.gpu.stirred = true
		e.stirred = append(e.stirred, s.gpu)
	}
}

// stirAround stirs every series of g around t: since the pieces are others, the
// samples on both sides may speak for other stretches.
func (e *Engine) stirAround(g *gpu, t int64) {
	for _, s := range g.series {
		from, i := t-1, s.before(t)
		if i > 0 {
			from = s.at(i - 1).ts
		}
		if i < s.done {
			from = min(from, s.backTo(i))
		}
		e.stir(s, from)
	}
}

// announceAll says what the stirred GPUs did, and how far the engine is.
func (e *Engine) announceAll(out Output) {
	waiting := e.stirred[:0]
	for _, g := range e.stirred {
		ahead := false
		for _, s := range g.series {
			e.count(s)
			ahead = ahead || s.done < s.n // of the horizon
		}
		if out != nil {
			e.announce(g)
		} else {
			e.assume(g)
		}
		if g.stirred = ahead; ahead {
			waiting = append(waiting, g)
		}
		if len(e.activities) >= flushRows {
			out.Activity(e.activities)
			e.activities = e.activities[:0]
		}
	}
	clear(e.stirred[len(waiting):])
	e.stirred = waiting
	if mark := floorTo(e.horizon, watermarkStep); mark > e.watermark {
		e.watermark = mark
		e.activities = append(e.activities, schemas.Activity{Engine: e.cfg.Partition, From: e.horizon, To: e.horizon})
	}
	if out != nil && len(e.activities) > 0 {
		out.Activity(e.activities)
	}
	e.activities = e.activities[:0]
}

// announce walks the pieces of g from where something is to be said.
func (e *Engine) announce(g *gpu) {
	e.cut(g)
	from := int64(never)
	for _, s := range g.series {
		s.from, s.to = min(s.dirty, s.announced), s.known
		if s.known == forever { // it has no sample
			s.from = s.dirty
		}
		s.from = max(s.from, g.hot) // detectors hear of nothing older
		from = min(from, s.from)
	}
	g.expires = never
	for i := g.pieceAt(from); i < len(g.pieces) && g.pieces[i].from < e.horizon; i++ {
		p := &g.pieces[i]
		e.announcePiece(g, p)
		if p.to > e.horizon {
			g.expires = p.to
			break
		}
		var next *piece
		if i+1 < len(g.pieces) && g.pieces[i+1].from == p.to {
			next = &g.pieces[i+1]
		}
		e.release(g, p, next)
	}
	for _, s := range g.series {
		s.announcedTo(s.to)
	}
}

// assume takes as said what a predecessor has said at least: it may be said again.
func (e *Engine) assume(g *gpu) {
	for _, s := range g.series {
		s.announcedTo(floorTo(s.known, schemas.ActiveStep))
	}
}

// announcedTo notes that all has been said up to t.
func (s *series) announcedTo(t int64) {
	s.dirty, s.announced, s.wake = never, t, forever
	if s.known == forever {
		s.announced = forever
		return
	}
	s.wake = floorTo(s.known, schemas.ActiveStep) + schemas.ActiveStep
}

// announcePiece says what the holders of p did. Behind the newest sample nothing is
// said while p goes on.
func (e *Engine) announcePiece(g *gpu, p *piece) {
	over := p.to <= e.horizon
	var heard *series
	for k := range p.holders {
		h := &p.holders[k]
		s := h.voices
		a, b := max(p.from, s.from), p.to
		if !over {
			b = min(p.to, s.known)
		}
		if a >= b {
			continue
		}
		if s != heard { // sharers of a GPU hear the same
			v := voice{series: s, held: true, idleWatts: p.owner.IdleWatts}
			e.hear(&v, p.from, min(p.to, e.horizon), a, b)
			heard = s
			if n := len(e.tally.runs) - 1; !over && e.tally.runs[n].state == schemas.StateActive {
				last := &e.tally.runs[n]
				last.to = max(last.from, floorTo(last.to, schemas.ActiveStep))
				s.to = last.to
			}
		}
		e.announceRuns(g, p, h, over)
	}
}

// announceRuns makes a row of each measured run that was heard, and of others
// where something else may have been said before: behind the newest sample too,
// when the piece was over.
func (e *Engine) announceRuns(g *gpu, p *piece, h *holder, over bool) {
	for _, r := range e.tally.runs {
		unknown := r.state == schemas.StateUnknown
		if unknown && !over && h.voices.dirty == never || r.from >= r.to {
			continue
		}
		row := e.activity(g, p, h, r.from)
		row.State, row.To = uint32(r.state), r.to
		if !unknown {
			row.Cost = p.cost(h, r.from, r.to)
		}
		if y := &e.tally.tallies[r.state]; y.resident {
			row.MemoryUsed = y.mem
		}
		e.activities = append(e.activities, row)
	}
}

// release says who of p, which is over, does not hold its GPU or slice in next,
// nil for nobody. What follows is said again, too: a release takes it back.
func (e *Engine) release(g *gpu, p, next *piece) {
	for k := range p.holders {
		h := &p.holders[k]
		if p.to > h.voices.from && (next == nil || !next.has(h)) {
			row := e.activity(g, p, h, p.to)
			row.State, row.To = schemas.StateReleased, p.to
			e.activities = append(e.activities, row)
		}
	}
}

func (p *piece) has(h *holder) bool {
	for k := range p.holders {
		if p.holders[k].alloc == h.alloc && p.holders[k].voices == h.voices {
			return true
		}
	}
	return false
}

// activity is a row of one holder from t on, without state, end and cost.
func (e *Engine) activity(g *gpu, p *piece, h *holder, t int64) schemas.Activity {
	if h.attr == nil || h.attr.rules != e.ruleVersion || h.attr.version != h.alloc.version {
		h.attr = e.attributionFor(h.alloc, p.owner)
	}
	all, values := e.texts.all, &h.attr.steps[h.attr.at(t)].values
	row := schemas.Activity{
		Allocation: h.alloc.name, Node: all[g.node.name], GPU: g.name, Slice: h.voices.name, Engine: e.cfg.Partition, From: t,
		Width: h.alloc.width(t), Held: h.alloc.from, User: all[h.alloc.user], Name: all[h.alloc.title],
		Team: all[values[attributeTeam]], Phase: all[values[attributePhase]], MemoryUsed: schemas.Absent64,
	}
	if price := p.owner.price.steps[p.owner.price.at(t)].row; price != nil {
		row.Currency = price.money
		row.PerHour = p.rate(price).Cost(p.k*money.Whole+h.x0, p.k*money.Whole+h.x1, 0, money.Hour)
	}
	return row
}

func (p *piece) rate(price *priceRow) money.Rate {
	return money.NewRate(price.perHour, len(p.owner.GPUs), money.Hour)
}

// cost is rule 8's list cost of a holder over [from, to): the same, summed, as in
// the cells of that time.
func (p *piece) cost(h *holder, from, to int64) (nano int64) {
	steps := p.owner.price.steps
	x0, x1 := p.k*money.Whole+h.x0, p.k*money.Whole+h.x1
	for i := p.owner.price.at(from); from < to; i++ {
		end := min(to, startOf(steps, i+1))
		if steps[i].row == nil {
			from = end
			continue
		}
		for rate := p.rate(steps[i].row); from < end; {
			hour := floorTo(from, money.Hour)
			next := min(end, hour+money.Hour)
			nano += rate.Cost(x0, x1, from-hour, next-hour)
			from = next
		}
	}
	return nano
}

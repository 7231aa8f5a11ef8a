package engine

import "github.com/gpumeter/gpumeter/schemas"

// Advance moves the horizon, never back, and hands out every cell that changed
// and every window that closed. final says that a replay ends here: every window
// before the horizon is final. With out nil everything is computed as if it were
// published, which is how a fresh engine learns what its predecessor published.
//
// It costs nothing to speak of while nothing is due and nothing late came.
func (e *Engine) Advance(horizon int64, final bool, out Output) {
	e.reopen(horizon)
	e.horizon = max(e.horizon, horizon)
	due := e.horizon >= e.due || final
	if due || e.urgent {
		e.countAll()
	}
	e.applyReferences()
	if due && out != nil {
		e.postpone(final)
	}
	e.restate(out)
	if due {
		e.closeWindows(final, out)
		e.report(final, out)
	}
	e.announceAll(out)
	e.saveEvents()
	if out != nil {
		e.batch.flush(out)
	}
}

// reopen marks what the end of a replay cut short: the window that its horizon
// lies in goes on when the horizon moves.
func (e *Engine) reopen(horizon int64) {
	if !e.replayed || horizon <= e.horizon {
		return
	}
	e.replayed = false
	for _, g := range e.gpus {
		e.mark(g, e.horizon, e.final)
	}
}

// countAll counts the arrivals that the horizon has passed.
func (e *Engine) countAll() {
	waiting := e.arrived[:0]
	for _, s := range e.arrived {
		e.count(s)
		if s.queued = s.done < s.n; s.queued {
			waiting = append(waiting, s)
		}
	}
	e.arrived, e.urgent = waiting, false
}

// applyReferences lets resources, prices, tags and allocation events count, in
// the order in which they name each other.
func (e *Engine) applyReferences() {
	for _, res := range e.resourced {
		e.refresh(res)
	}
	e.resourced = e.resourced[:0]
	e.reprice()
	e.ripen()
	for _, al := range e.refold {
		e.fold(al)
	}
	e.refold = e.refold[:0]
	for _, r := range e.newRules {
		e.rule(r)
	}
	e.newRules = e.newRules[:0]
}

// ripen has the allocations folded of which the horizon has passed an event.
func (e *Engine) ripen() {
	if e.final == forever { // nearly all of them, in no order
		all := e.waiting
		e.waiting = nil
		for _, ev := range all {
			if ev.ts < e.horizon {
				e.refolds(ev.alloc)
			} else {
				e.waiting.push(ev)
			}
		}
		return
	}
	for len(e.waiting) > 0 && e.waiting[0].ts < e.horizon {
		e.refolds(e.waiting.pop().alloc)
	}
}

// closeWindows makes windows final whose grace is over, and publishes early results.
func (e *Engine) closeWindows(final bool, out Output) {
	w, upTo := e.cfg.Window, e.closing(final)
	e.replayed = e.replayed || final
	early := floorTo(e.horizon+w-1, w)
	if e.cfg.EarlyEvery == 0 {
		early = upTo
	}
	from := e.final
	for i, g := range e.gpus {
		e.fetchAhead(i)
		if out == nil {
			e.assumeClosed(g, upTo)
		} else {
			e.each(g, max(from, g.lost, g.hot), upTo, true, out)
		}
		e.each(g, max(upTo, e.untouched(g)), early, false, out)
		g.low, g.seen = never, e.horizon
		if g.expires <= e.horizon {
			e.stirAround(g, g.expires)
		}
		if uint64(i)%agingRounds == uint64(upTo/w)%agingRounds && upTo > from {
			e.age(g)
		}
	}
	e.final = upTo
	if upTo > from {
		e.retireSome(upTo / w)
		e.freezeSome()
	}
	e.due = upTo + w + e.cfg.Grace
	if every := e.cfg.EarlyEvery; every > 0 {
		e.due = min(e.due, floorTo(e.horizon, every)+every)
	}
}

// closing is where the windows end that are final now.
func (e *Engine) closing(final bool) int64 {
	if final {
		return max(e.final, floorTo(e.horizon+e.cfg.Window-1, e.cfg.Window))
	}
	return max(e.final, floorTo(e.horizon-e.cfg.Grace, e.cfg.Window))
}

// assumeClosed learns what a predecessor published of windows that are final now.
// Of what is older than the samples that are kept nothing can be learned, nor
// restated; what is behind it had not published.
func (e *Engine) assumeClosed(g *gpu, upTo int64) {
	from := max(e.final, g.hot)
	if kept := floorTo(e.horizon-e.cfg.KeepSamples, e.cfg.Window); e.final == forever && g.beginning(e.cfg.Window) < kept {
		g.lost = max(g.lost, kept)
	}
	if e.final != forever || !e.resumed {
		e.pend(g, stretch{from, min(e.top(), upTo)})
	}
	e.each(g, e.inherit(g, max(from, g.lost, e.top()), upTo), upTo, true, nil)
}

// untouched is where the first window begins that is not as it was when early
// results were last computed.
func (e *Engine) untouched(g *gpu) int64 {
	t := min(g.low, g.seen)
	if t == forever {
		return t
	}
	return floorTo(t, e.cfg.Window)
}

// each publishes the windows of g in [from, to) that exist or once did.
func (e *Engine) each(g *gpu, from, to int64, final bool, out Output) {
	if from >= to || len(g.seats) == 0 && len(g.accounts) == 0 {
		return
	}
	e.cut(g)
	for _, acc := range g.accounts {
		a, b := int64(never), int64(forever)
		for _, s := range g.seats {
			if s.rec.res == acc.res {
				a, b = min(a, s.rec.begin), max(b, s.rec.end)
			}
		}
		if acc.upTo > from { // cells that were published may have to go
			a, b = from, max(b, acc.upTo)
		}
		b = min(b, to)
		if a = max(a, from); a == forever || a >= b {
			continue
		}
		for w := floorTo(a, e.cfg.Window); w < b; w += e.cfg.Window {
			e.publish(g, acc, w, final, out)
		}
	}
}

// publish computes one cell and hands it out unless it is what was published. A
// cell that lost its rows is as if it had never been.
func (e *Engine) publish(g *gpu, acc *account, window int64, final bool, out Output) {
	e.compute(g, acc, window)
	if len(e.cell.rows) == 0 && e.unheard(g, acc, window/e.cfg.Window) {
		return
	}
	have := e.fingerprint(g, acc, window/e.cfg.Window)
	now := uint64(0)
	if len(e.cell.rows) > 0 {
		now = e.cell.fingerprint()&^finalBit | publishedBit
		if final {
			now |= finalBit
		}
	}
	if *have == now {
		return
	}
	h := head{gpu: g, resource: acc.res.id, window: window, restated: uint8(*have & finalBit)}
	if final {
		h.final = schemas.FinalityFinal
	}
	*have = now
	acc.upTo, acc.since = max(acc.upTo, window+e.cfg.Window), min(acc.since, window)
	if out == nil {
		return
	}
	if now == 0 {
		e.empty(h)
	} else {
		e.add(h, &e.cell)
	}
	if e.batch.costs.Len() >= flushRows {
		e.batch.flush(out)
	}
}

// agingRounds is in how many windows each GPU has its turn at dropping what is old.
const agingRounds = 8

// age drops what of g is older than what is kept. Its windows before that can no
// longer be restated.
func (e *Engine) age(g *gpu) {
	w := e.cfg.Window
	cut := floorTo(e.horizon-e.cfg.KeepSamples, w)
	for _, s := range g.series {
		if len(g.pending) == 0 && s.done > sampleBlockLen && s.at(sampleBlockLen).ts < cut {
			e.forget(s, cut)
			g.lost = max(g.lost, cut)
		}
	}
	e.forgetCells(g, cut)
}

package engine

import (
	"encoding/binary"
	"errors"
	"slices"
)

// A change may reach back for years: a resource with the date of its purchase, a
// price that was wrong for weeks. What it marks is then computed in steps, one in
// each Advance, the newest windows first:
//
//	         behind[1]          behind[0]             final
//	  pending   |    pending       |    as of now        |  open
//	  as before the first change   |                     |
//	            | as before the second                   |
//
// Windows from behind[0] on reflect all that the engine was fed. What lies before
// is as it was published until its turn comes; marks there join it. A change that
// is large again while there is a backlog begins a step of its own at the top: when
// that comes down to the next one, both are one. So what was published is always a
// function of what was fed when, and a successor computes it: see Hold.

// MaxBehind is how many large changes may be under way at once. What comes on top
// is computed at once: a caller that wants a bound feeds no references then.
const MaxBehind = 4

// A Backlog is what is still to be recomputed.
type Backlog struct {
	Cells    int64  // at most
	Since    int64  // Unix ms: the earliest of its windows
	Resource string // one that has it
}

// Behind lists the instants before which windows do not reflect all that was fed,
// the latest first: those before the k-th are as of before the change that put it
// there. Valid until the next Advance.
func (e *Engine) Behind() []int64 { return e.behind }

// Hold tells a fresh engine, before an Advance without output, that its predecessor
// had got down to these instants with what it is fed now: what is marked before the
// first of them was not published.
func (e *Engine) Hold(behind []int64) { e.behind = append(e.behind[:0], behind...) }

// Settled reports whether memory alone has nothing that is behind, so that an
// archive as of now is one that an engine can begin with.
func (e *Engine) Settled() bool {
	return !slices.ContainsFunc(e.pending, func(g *gpu) bool { return g.hot == forever || g.hot < e.top() })
}

// Backlog is what Behind leaves to be done.
func (e *Engine) Backlog() (b Backlog) {
	b.Since = never
	for _, g := range e.pending {
		for _, p := range g.pending {
			b.Cells += g.cells(p, e.cfg.Window)
		}
		if from := g.pending[0].from; from < b.Since {
			b.Since = from
			for _, s := range g.seats {
				if s.rec.begin < from+e.cfg.Window || b.Resource == "" {
					b.Resource = s.rec.res.name
				}
			}
		}
	}
	return b
}

// top is the instant from which on all windows reflect what was fed.
func (e *Engine) top() int64 {
	if len(e.behind) == 0 {
		return forever
	}
	return e.behind[0]
}

// budget is how many cells an Advance recomputes, at least those of a window.
func (e *Engine) budget() int64 {
	if e.cfg.Backlog == 0 {
		return never
	}
	return max(e.cfg.Backlog, e.width())
}

// restate recomputes what is marked in final windows, or as much of it as there is
// room for. Without output it is all that a predecessor had published.
func (e *Engine) restate(out Output) {
	e.admit(out)
	room := e.budget()
	switch fresh := e.pendingFrom(e.top()); {
	case out == nil || fresh <= room || len(e.behind) == MaxBehind:
		e.recompute(e.top(), never, out)
		room -= fresh
	default:
		e.behind = slices.Insert(e.behind, 0, e.final)
		e.retirePending()
	}
	if out != nil {
		e.catchUp(room, out)
		if len(e.pending) == 0 {
			e.behind = e.behind[:0]
		}
	}
	e.storeBacklog()
}

// admit takes the marks as pending.
func (e *Engine) admit(out Output) {
	for _, g := range e.marked {
		for _, m := range g.settle(e.cfg.Window, e.final) {
			if m.from < g.lost {
				if late := (stretch{m.from, min(m.to, g.lost)}); !g.waits(late) {
					e.tooLate(g, out)
				}
				m.from = g.lost
			}
			e.pend(g, m)
		}
		g.marks, g.marked = g.marks[:0], false
	}
	e.marked = e.marked[:0]
}

// pend has a stretch of whole windows recomputed, as far as cells may be there.
func (e *Engine) pend(g *gpu, m stretch) {
	m.from = max(m.from, g.beginning(e.cfg.Window))
	if m.from >= m.to || len(g.accounts) == 0 {
		return
	}
	if len(g.pending) == 0 {
		e.pending = append(e.pending, g)
	}
	g.pending, g.shifted = joined(append(g.pending, m)), true
}

// joined sorts stretches and joins those that meet.
func joined(list []stretch) []stretch {
	slices.SortFunc(list, func(a, b stretch) int { return compareInt(a.from, b.from) })
	out := list[:1]
	for _, m := range list[1:] {
		if last := &out[len(out)-1]; m.from <= last.to {
			last.to = max(last.to, m.to)
			continue
		}
		out = append(out, m)
	}
	return out
}

// waits tells whether all of m is pending.
func (g *gpu) waits(m stretch) bool {
	return slices.ContainsFunc(g.pending, func(p stretch) bool { return p.from <= m.from && m.to <= p.to })
}

// beginning is where the first window begins of which g may have a cell.
func (g *gpu) beginning(window int64) int64 {
	t := int64(never)
	for _, s := range g.seats {
		t = min(t, s.rec.begin)
	}
	for _, acc := range g.accounts {
		t = min(t, acc.since)
	}
	if t == never || t == forever {
		return t
	}
	return floorTo(t, window)
}

func (g *gpu) cells(m stretch, window int64) int64 {
	return (m.to - m.from) / window * int64(len(g.accounts))
}

// pendingFrom is how many cells are pending from an instant on.
func (e *Engine) pendingFrom(from int64) (n int64) {
	for _, g := range e.pending {
		for i := len(g.pending) - 1; i >= 0 && g.pending[i].to > from; i-- {
			n += g.cells(stretch{max(from, g.pending[i].from), g.pending[i].to}, e.cfg.Window)
		}
	}
	return n
}

// catchUp goes on with what is behind while there is room, by a window at least.
func (e *Engine) catchUp(room int64, out Output) {
	for least := int64(1); len(e.behind) > 0 && len(e.pending) > 0; {
		floor := int64(forever)
		if len(e.behind) > 1 {
			floor = e.behind[1]
		}
		to := min(e.behind[0], e.newest(e.behind[0]))
		if to <= floor {
			e.behind = slices.Delete(e.behind, 0, 1)
			continue
		}
		windows := max(least, min(room/e.width(), mostWindows))
		if windows <= 0 {
			return
		}
		least = 0
		e.behind[0] = max(floor, to-windows*e.cfg.Window)
		room -= e.recompute(e.behind[0], to, out)
	}
}

// mostWindows keeps the arithmetic of a step from overflowing: two thousand years.
const mostWindows = 1 << 30

// newest is where what is pending before t ends.
func (e *Engine) newest(t int64) int64 {
	newest := int64(forever)
	for _, g := range e.pending {
		for i := len(g.pending) - 1; i >= 0; i-- {
			if p := g.pending[i]; p.from < t {
				newest = max(newest, min(t, p.to))
				break
			}
		}
	}
	return newest
}

// width is how many cells of a window are pending at most.
func (e *Engine) width() (n int64) {
	for _, g := range e.pending {
		n += int64(len(g.accounts))
	}
	return n
}

// recompute does what is pending in [from, to) and tells how many cells that were.
func (e *Engine) recompute(from, to int64, out Output) (n int64) {
	left := e.pending[:0]
	for _, g := range e.pending {
		todo := g.take(from, to)
		for _, m := range todo {
			n += g.cells(m, e.cfg.Window)
			e.redo(g, m, out)
		}
		g.shifted = g.shifted || len(todo) > 0
		if len(g.pending) > 0 {
			left = append(left, g)
		}
	}
	clear(e.pending[len(left):])
	e.pending = left
	return n
}

// take removes [from, to) from what is pending and returns it.
func (g *gpu) take(from, to int64) (todo []stretch) {
	var left []stretch
	for _, p := range g.pending {
		a, b := max(from, p.from), min(to, p.to)
		if a >= b {
			left = append(left, p)
			continue
		}
		todo = append(todo, stretch{a, b})
		if p.from < a {
			left = append(left, stretch{p.from, a})
		}
		if b < p.to {
			left = append(left, stretch{b, p.to})
		}
	}
	g.pending = left
	return todo
}

// redo recomputes windows of g. Of those older than what is kept a successor need
// not know what was published: they are not restated again.
func (e *Engine) redo(g *gpu, m stretch, out Output) {
	kept := floorTo(e.horizon-e.cfg.KeepSamples, e.cfg.Window)
	if out == nil && m.from < kept {
		g.lost = max(g.lost, kept)
		m.from = kept
	}
	e.restateCold(g, m.from, min(m.to, g.hot), out)
	e.each(g, max(m.from, g.hot), m.to, true, out)
	if m.from < kept && g.hot == forever {
		e.forgetCells(g, kept)
	}
}

// forgetCells drops the fingerprints before cut, but for those that what is pending
// will be compared with.
func (e *Engine) forgetCells(g *gpu, cut int64) {
	from := int64(forever)
	if len(g.pending) > 0 {
		from = e.top()
	}
	for _, acc := range g.accounts {
		if acc.forget(from, cut, e.cfg.Window, e.perBlock) {
			g.lost = max(g.lost, cut)
		}
	}
}

// postpone makes the windows final that are about to close, and marks them, where
// they are too many for one Advance: those of a ledger that begins.
func (e *Engine) postpone(final bool) {
	from, upTo, w := e.final, e.closing(final), e.cfg.Window
	if e.cfg.Backlog == 0 || from != forever && upTo-from <= w {
		return
	}
	n, least := int64(0), int64(0)
	for _, g := range e.gpus {
		least += int64(len(g.accounts))
		if a := max(from, g.lost, g.beginning(w)); a < upTo {
			n += g.cells(stretch{a, upTo}, w)
		}
	}
	if n <= max(e.cfg.Backlog, least) {
		return
	}
	e.final = upTo
	for _, g := range e.gpus {
		e.mark(g, max(from, g.lost, g.beginning(w)), upTo)
	}
}

// retirePending makes cold what can be of the GPUs that have much to restate: its
// fingerprints go to the archive as they are made.
func (e *Engine) retirePending() {
	if e.cfg.Archive == nil {
		return
	}
	for _, g := range e.pending {
		e.retire(g)
	}
}

// storeBacklog has the archive know what an Advance leaves pending, since cold
// fingerprints are those of before.
func (e *Engine) storeBacklog() {
	if e.cfg.Archive == nil {
		return
	}
	still := e.awaited[:0]
	for _, g := range e.awaited {
		if len(g.pending) > 0 {
			still = append(still, g)
			continue
		}
		key := e.keyOf(keyPending, g)
		e.fail("deleting what is done", e.cfg.Archive.Delete(key, append(slices.Clone(key), 0)))
		g.awaited = false
	}
	clear(e.awaited[len(still):])
	e.awaited = still
	for _, g := range e.pending {
		if !g.shifted && g.awaited {
			continue
		}
		value := make([]byte, 0, 16*len(g.pending))
		for _, p := range g.pending {
			value = binary.AppendVarint(binary.AppendVarint(value, p.from), p.to)
		}
		e.store(e.keyOf(keyPending, g), value)
		e.await(g)
	}
}

// await notes that the archive has what of g is pending.
func (e *Engine) await(g *gpu) {
	if g.shifted = false; !g.awaited {
		g.awaited = true
		e.awaited = append(e.awaited, g)
	}
}

// loadBacklog makes what was pending so again.
func (e *Engine) loadBacklog() error {
	return e.cfg.Archive.Scan([]byte{keyPending}, []byte{keyPending + 1}, func(key, value []byte) error {
		node, key, ok1 := nameOf(key[1:])
		name, _, ok2 := nameOf(key)
		g := e.gpu(e.node(node), name)
		for s := (scanner{b: value}); len(s.b) > 0; {
			from, to := s.varint(), s.varint()
			if !ok1 || !ok2 || s.bad || from >= to {
				return errors.New("a backlog is not written as this program writes it")
			}
			g.pending = append(g.pending, stretch{from, to})
		}
		if len(g.pending) > 0 {
			e.pending = append(e.pending, g)
			e.await(g)
		}
		return nil
	})
}

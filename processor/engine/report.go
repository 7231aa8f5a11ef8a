package engine

import (
	"fmt"
	"slices"

	"github.com/gpumeter/gpumeter/schemas"
)

// What is known of an allocation's missing start.
const (
	orphanNot uint8 = iota
	orphanWaits
	orphanTold
)

// report tells of what lacks something, each once, when the horizon has passed
// the event by the grace time or a replay ends.
func (e *Engine) report(final bool, out Output) {
	before := e.horizon - e.cfg.Grace + 1
	if final {
		before = e.horizon
	}
	e.reportOrphans(before, out)
	e.reportHomeless(before, out)
	if e.cfg.ReportPrices {
		e.reportPrices(before, out)
	}
}

func letter(out Output, l schemas.DeadLetter) {
	if out == nil {
		return
	}
	l.Count = 1
	out.Report(l)
}

// bereave remembers an allocation that has events but no start.
func (e *Engine) bereave(al *allocation, events []told) {
	if len(events) == 0 || al.orphan != orphanNot || !e.cfg.Reports(al.name) {
		return
	}
	al.orphan = orphanWaits
	e.orphans = append(e.orphans, al)
}

func (e *Engine) reportOrphans(before int64, out Output) {
	e.orphans = slices.DeleteFunc(e.orphans, func(al *allocation) bool {
		if al.started {
			al.orphan = orphanNot
			return true
		}
		if al.events[0].TS >= before {
			return false
		}
		al.orphan = orphanTold
		e.leave(al, al.end())
		letter(out, schemas.DeadLetter{
			Stream: schemas.StreamAllocations, Place: al.name, Reason: schemas.ReasonNoStart,
			Detail: fmt.Sprintf("allocation %q has an event at %d ms (%s) but no start: it counts as soon as its start comes", al.name, al.events[0].TS, al.events[0].Event),
		})
		return true
	})
}

func (e *Engine) reportHomeless(before int64, out Output) {
	e.homeless = slices.DeleteFunc(e.homeless, func(g *gpu) bool {
		if len(g.accounts) > 0 {
			return true
		}
		if g.first >= before {
			return false
		}
		stream := schemas.StreamAllocations
		if slices.ContainsFunc(g.series, func(s *series) bool { return s.done > 0 }) {
			stream = schemas.StreamSamples
		}
		letter(out, schemas.DeadLetter{
			Stream: stream, Place: e.place(g), Reason: schemas.ReasonNoResource,
			Detail: fmt.Sprintf("no resource has GPU %s of node %s: what is known of it counts as soon as a resource record names it", g.name, e.texts.all[g.node.name]),
		})
		return true
	})
}

func (e *Engine) reportPrices(before int64, out Output) {
	for _, l := range e.prices.disputed {
		key := l.key
		for _, c := range l.conflicts {
			if c.from >= before || l.told[c.known] {
				continue
			}
			l.told[c.known] = true
			letter(out, schemas.DeadLetter{
				Stream: schemas.StreamPrices, Place: key.provider + "/" + key.region + "/" + key.sku + "/" + key.category,
				Reason: schemas.ReasonPriceConflict,
				Detail: fmt.Sprintf("two different prices known at %d ms are in force at %d ms: unpriced until one with a later known_at comes", c.known, c.from),
			})
		}
	}
}

// tooLate tells once that a GPU got something that needs samples or cells which
// are not kept any more. What was published stays.
func (e *Engine) tooLate(g *gpu, out Output) {
	if g.late {
		return
	}
	g.late = true
	letter(out, schemas.DeadLetter{
		Stream: schemas.StreamSamples, Place: e.place(g), Reason: schemas.ReasonTooLate,
		Detail: fmt.Sprintf("an event changes windows before %d ms, whose samples are not kept any more: raise state.samples and restart to restate them", g.lost),
	})
}

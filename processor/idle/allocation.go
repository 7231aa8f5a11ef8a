package idle

import (
	"slices"

	"github.com/gpumeter/gpumeter/schemas"
)

// An allocation is what is known of one: its parts in the trailing window, and the
// newest revision of its finding.
type allocation struct {
	name                     string
	user, title, team, phase string
	start                    int64  // first instant of its hold
	width                    uint32 // GPUs and slices that it holds, as said last
	parts                    []*part
	line                     line
	folded                   int64 // decisions have been taken up to here
	stale                    int64 // the line is wrong from here on
	kept                     int64 // nothing is known of the time before
	newest                   int64 // largest instant that was said
	ended                    int64 // when the last of its GPUs was released, 0 = live

	finding   schemas.Finding // newest revision; Revision 0 = none
	decided   int64           // place of the record that led to it
	pinned    int64           // place of the first record that its cost was reckoned from
	idleSince int64
	resolved  int64 // when the last finding was, 0 = never
	counts    bool  // total is kept
	total     int64 // nano: cost of all idle time said since idleSince, in the finding's currency

	touched bool // by the record in work
	waiting bool // for the watermark of a silent GPU
	listed  bool // among those that do
}

func newAllocation(name string) *allocation {
	return &allocation{name: name, folded: -never, stale: never, kept: -never, newest: -never}
}

func (a *allocation) open() bool { return a.finding.Status == schemas.StatusOpen }

// take learns one row. It reports whether anything changed.
func (a *allocation) take(place int64, r *schemas.Activity, cell int64, intern func(currency string, perHour int64) *tariff) bool {
	if r.State != released && r.To <= r.From || !known(r.State) {
		return false
	}
	from := max(r.From, a.kept, r.To-maxRow)
	if r.State == released {
		from = max(r.From, a.kept)
	} else if r.To <= from {
		return false // of time that is forgotten
	}
	a.describe(r)
	a.newest = max(a.newest, r.To)
	p := a.part(r)
	if p == nil {
		return false
	}
	if from < a.folded {
		a.stale = min(a.stale, from)
	}
	if r.State == released {
		p.release(place, from, r.Width, a.gone)
		return true
	}
	a.ended = 0
	p.said(r)
	if r.State == unknown {
		p.replace(from, r.To, nil, cell, a.gone, a.come)
		return true
	}
	s := stretch{from: r.From, to: r.To, cost: r.Cost, tariff: intern(r.Currency, r.PerHour), place: place, state: r.State, width: r.Width}
	if r.MemoryUsed != schemas.Absent64 {
		s.memory = r.MemoryUsed
	}
	if r.Width == schemas.Absent32 {
		s.width = 0
	}
	if r.To >= p.end {
		p.tariff = s.tariff
	}
	s = s.slice(from, r.To)
	p.replace(from, r.To, &s, cell, a.gone, a.come)
	return true
}

func known(state uint32) bool {
	return state == released || state == active || state == idleHeld || state == idle || state == unknown
}

// describe notes what a row says of the whole allocation.
func (a *allocation) describe(r *schemas.Activity) {
	if r.To < a.newest {
		return // restated: names may be of their time
	}
	a.user, a.title, a.team, a.phase, a.start = r.User, r.Name, r.Team, r.Phase, r.Held
	if r.Width != schemas.Absent32 {
		a.width = r.Width
	}
}

// part finds the GPU of a row, or makes it. Of one that is not known nothing is to
// be released.
func (a *allocation) part(r *schemas.Activity) *part {
	i, ok := slices.BinarySearchFunc(a.parts, r, func(p *part, r *schemas.Activity) int { return p.compare(r.Node, r.GPU, r.Slice) })
	if ok {
		return a.parts[i]
	}
	if r.State == released {
		return nil
	}
	p := &part{node: r.Node, gpu: r.GPU, slice: r.Slice, first: never, end: -never, released: never, freed: never, tariff: new(tariff)}
	p.step, p.engine = min(r.To-r.From, maxStep), r.Engine
	a.parts = slices.Insert(a.parts, i, p)
	return p
}

// gone and come keep the total.
func (a *allocation) gone(s *stretch) { a.total -= a.counted(s) }

func (a *allocation) come(s *stretch) {
	if a.counts && a.finding.Currency == "" && s.idle() && s.to > a.idleSince {
		a.finding.Currency = s.tariff.currency
	}
	a.total += a.counted(s)
}

// counted is what s adds to the total.
func (a *allocation) counted(s *stretch) int64 {
	if !a.counts || !s.idle() || s.tariff.currency != a.finding.Currency {
		return 0
	}
	return s.costOf(a.idleSince, never)
}

// burnt is the cost of the idle time said in [from, to), in the finding's currency.
func (a *allocation) burnt(from, to int64) (nano int64) {
	for _, p := range a.parts {
		for i := range p.stretches {
			if s := &p.stretches[i]; s.idle() && s.tariff.currency == a.finding.Currency {
				nano += s.costOf(from, to)
			}
		}
	}
	return nano
}

// count begins to keep the total of an open finding, from what its newest revision
// says and what has been said of later time.
func (a *allocation) count() {
	if !a.counts {
		a.counts, a.total = true, a.finding.BurntCost+a.burnt(max(a.finding.UpdatedAt, a.idleSince), never)
	}
}

// over tells whether the last of its GPUs has been released, and when. An allocation
// that is to go on with other GPUs is not over.
func (a *allocation) over() (t int64, yes bool) {
	t = -never
	for _, p := range a.parts {
		switch {
		case p.held():
			return 0, false
		case p.released > t:
			t, yes = p.released, p.left == 0
		case p.released == t:
			yes = yes || p.left == 0
		}
	}
	return t, yes
}

// extend lengthens the line to t by what the parts have said.
func (a *allocation) extend(t int64, sweep *sweep) {
	if a.stale < never {
		a.line.cut(a.stale)
		a.stale = never
	}
	from, ok := a.line.end()
	if !ok {
		if from = never; a.folded > -never {
			from = a.folded
		}
		for _, p := range a.parts {
			if len(p.stretches) > 0 {
				from = min(from, p.stretches[0].from)
			}
		}
	}
	if from < t {
		sweep.over(a.parts, from, t, &a.line)
	}
}

// forget drops what no window needs.
func (a *allocation) forget(longest, cell int64) {
	end, ok := a.line.end()
	if !ok {
		return
	}
	measured, _ := a.line.sums(end)
	mark := measured - longest*whole
	if mark < a.line[0].measured {
		return
	}
	t := a.line.instant(mark)
	if t -= mod(t, cell); t <= a.kept {
		return
	}
	a.kept = t
	a.line.drop(t)
	for _, p := range a.parts {
		p.drop(t)
	}
	a.parts = slices.DeleteFunc(a.parts, func(p *part) bool { return len(p.stretches) == 0 && p.end <= t })
}

// clear forgets all that was said but the finding.
func (a *allocation) clear() {
	a.parts, a.line, a.stale, a.counts, a.total, a.waiting = nil, nil, never, false, 0, false
}

// needs is the first place of the records that the allocation is a function of. The
// total of an open finding is one of what its newest revision knew, too.
func (a *allocation) needs() int64 {
	place := a.said()
	if place != never && a.open() {
		place = min(place, a.pinned)
	}
	return place
}

// said is the first place of what is known.
func (a *allocation) said() int64 {
	place := never
	for _, p := range a.parts {
		place = min(place, p.freed)
		for i := range p.stretches {
			place = min(place, p.stretches[i].place)
		}
	}
	return place
}

package idle

import (
	"maps"
	"slices"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Detector finds idle allocations among those of one partition of activity. It
// is not safe for concurrent use.
type Detector struct {
	cfg         Config
	longest     int64
	allocations map[string]*allocation
	engines     map[uint32]*watermark
	behind      int64 // the least of them; never = there are none
	seen        int64 // newest instant of all rows
	tariffs     map[tariff]*tariff
	touched     []*allocation // of this record
	waiting     []*allocation // for a silent GPU; some of them no more
	sweep       sweep
}

// A watermark is the instant before which an engine has said everything in time.
// Its places are those of the records that told, one a cell, as far back as
// anything is needed: who recovers must know what held an allocation back then,
// or would be ahead of what has been decided.
type watermark struct {
	at     int64
	places []int64
}

// inForce is the place of a mark that was known at place, of the first one if none
// was.
func (m *watermark) inForce(place int64) int64 {
	n := m.before(place)
	return m.places[max(n-1, 0)]
}

// before is how many places are at place or before it.
func (m *watermark) before(place int64) int {
	n, found := slices.BinarySearch(m.places, place)
	if found {
		n++
	}
	return n
}

// forget drops the places that are not needed to recover from place.
func (m *watermark) forget(place int64) {
	m.places = slices.Delete(m.places, 0, max(m.before(place)-1, 0))
}

// New checks cfg.
func New(cfg Config) (*Detector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Detector{
		cfg: cfg.withDefaults(), longest: cfg.longest(), allocations: map[string]*allocation{},
		engines: map[uint32]*watermark{}, behind: never, seen: -never, tariffs: map[tariff]*tariff{},
	}, nil
}

// Add folds the rows of one record and returns the revisions of findings that
// follow, in order for each allocation. place rises from record to record, as
// offsets do; a caller that will never recover may pass anything that rises.
func (d *Detector) Add(place int64, rows []schemas.Activity) []schemas.Finding {
	d.take(place, rows)
	var out []schemas.Finding
	for _, a := range d.touched {
		from, to, over := d.fold(a)
		out = d.decide(out, a, place, from, to, over)
		d.settle(a, to, over)
	}
	d.untouch()
	return out
}

// Replay folds the rows of a record that has been added before, by a detector
// whose findings are restored: it learns without deciding anything.
func (d *Detector) Replay(place int64, rows []schemas.Activity) {
	d.take(place, rows)
	for _, a := range d.touched {
		_, to, over := d.fold(a)
		d.settle(a, to, over)
	}
	d.untouch()
}

// Resume tells a new detector what Seen gave when it was last asked, before
// anything else.
func (d *Detector) Resume(seen int64) { d.seen = seen }

// Seen is the newest instant that rows have told of.
func (d *Detector) Seen() int64 { return d.seen }

// Restore tells a new detector a revision that another one has given when it
// added the record at place. Revisions come in the order in which they were given.
func (d *Detector) Restore(place int64, f *schemas.Finding) {
	a := d.allocations[f.Allocation]
	if a == nil {
		a = newAllocation(f.Allocation)
		d.allocations[f.Allocation] = a
	}
	a.restore(place, f)
	if !a.open() && f.UpdatedAt < d.dead() {
		delete(d.allocations, f.Allocation)
	}
}

// Needs is the place of the first record that the detector is a function of,
// beside its findings; ok is false when there is none.
func (d *Detector) Needs() (place int64, ok bool) {
	needed := d.needed()
	place = d.marked(needed)
	for _, m := range d.engines {
		m.forget(needed)
	}
	return place, place != never
}

// needed is the first place of the records that the allocations are a function of.
func (d *Detector) needed() int64 {
	place := never
	for _, a := range d.allocations {
		place = min(place, a.needs())
	}
	return place
}

// marked is the first place of the watermarks that were in force at place, or place.
func (d *Detector) marked(place int64) int64 {
	first := place
	for _, m := range d.engines {
		first = min(first, m.inForce(place))
	}
	return first
}

// take learns rows and touches the allocations that they concern.
func (d *Detector) take(place int64, rows []schemas.Activity) {
	hour, moved := d.dead(), false
	for i := range rows {
		r := &rows[i]
		if r.Allocation == "" {
			moved = d.mark(place, r) || moved
			continue
		}
		a := d.allocations[r.Allocation]
		if a == nil {
			a = newAllocation(r.Allocation)
			d.allocations[r.Allocation] = a
		}
		if place > a.decided && a.open() {
			a.count()
		}
		if a.take(place, r, d.cfg.cell, d.intern) {
			d.seen = max(d.seen, r.To)
			d.touch(a)
		}
	}
	if moved {
		d.wake()
	}
	for _, a := range d.touched {
		if place == a.decided && a.open() {
			a.count() // the revision knew all of this record
			a.pinned = d.marked(min(place, a.said()))
		}
	}
	if d.dead() > hour {
		d.bury()
	}
}

// mark notes a watermark. It reports whether that moved it.
func (d *Detector) mark(place int64, r *schemas.Activity) bool {
	m := d.engines[r.Engine]
	switch {
	case m == nil:
		m = &watermark{places: []int64{place}}
		d.engines[r.Engine] = m
	case r.From <= m.at:
		return false
	case r.From/d.cfg.cell > m.at/d.cfg.cell:
		m.places = append(m.places, place)
	}
	m.at, d.seen = r.From, max(d.seen, r.From)
	d.compare()
	return true
}

// compare finds out how far the last of the engines is.
func (d *Detector) compare() {
	d.behind = never
	for _, m := range d.engines {
		d.behind = min(d.behind, m.at)
	}
}

func (d *Detector) intern(currency string, perHour int64) *tariff {
	key := tariff{currency, perHour}
	if currency == "" {
		key.perHour = 0
	}
	t, ok := d.tariffs[key]
	if !ok {
		t = &key
		d.tariffs[key] = t
	}
	return t
}

func (d *Detector) touch(a *allocation) {
	if !a.touched {
		a.touched = true
		d.touched = append(d.touched, a)
	}
}

func (d *Detector) untouch() {
	for _, a := range d.touched {
		a.touched = false
	}
	clear(d.touched)
	d.touched = d.touched[:0]
}

// wake touches the allocations that wait for a watermark.
func (d *Detector) wake() {
	for _, a := range d.waiting {
		a.listed = false
		if a.waiting {
			d.touch(a)
		}
	}
	clear(d.waiting)
	d.waiting = d.waiting[:0]
}

// fold moves the line of a to where all its GPUs have spoken, or all have been
// released.
func (d *Detector) fold(a *allocation) (from, to int64, over bool) {
	from = a.folded
	to, over = a.over()
	if !over {
		to = d.reach(a)
	}
	to = max(to, from)
	a.extend(to, &d.sweep)
	a.folded = to
	return from, to, over
}

// reach is up to where a is known. A GPU that is silent holds it back until its
// engine has come past and would have spoken, and GPUs that were never heard
// until all engines have.
func (d *Detector) reach(a *allocation) int64 {
	to, newest, held := never, -never, uint32(0)
	for _, p := range a.parts {
		if !p.held() {
			continue
		}
		held++
		newest = max(newest, p.end)
		if mark, ok := d.engines[p.engine]; ok {
			to = min(to, max(p.end, mark.at-d.cfg.settled-p.step))
		}
	}
	if held < a.width && d.behind != never {
		to = min(to, d.behind-d.cfg.settled)
	}
	to = min(to, newest)
	a.waiting = to < newest-d.cfg.settled
	if a.waiting && !a.listed {
		a.listed = true
		d.waiting = append(d.waiting, a)
	}
	return to
}

// settle drops what is no longer needed.
func (d *Detector) settle(a *allocation, to int64, over bool) {
	if over {
		a.clear()
		a.ended, a.kept = to, to
		return
	}
	a.forget(d.longest, d.cfg.cell)
}

// dead is the instant before which what is silent is forgotten: a day ago, in
// whole hours.
func (d *Detector) dead() int64 { return d.seen - mod(d.seen, hour) - day }

// bury forgets allocations that ended or fell silent a day ago, and engines that
// did. An open finding stays open: nobody knows.
func (d *Detector) bury() {
	dead := d.dead()
	maps.DeleteFunc(d.engines, func(_ uint32, m *watermark) bool { return m.at < dead })
	d.compare()
	for _, name := range slices.Sorted(maps.Keys(d.allocations)) {
		a := d.allocations[name]
		switch {
		case a.touched || max(a.newest, a.finding.UpdatedAt) >= dead:
		case a.open():
			a.clear()
		default:
			delete(d.allocations, name)
		}
	}
	d.waiting = slices.DeleteFunc(d.waiting, func(a *allocation) bool {
		gone := d.allocations[a.name] != a || a.parts == nil
		a.listed = !gone
		return gone
	})
}

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
	engines     map[uint32]watermark
	behind      int64 // the least of them; never = there are none
	seen        int64 // newest instant of all rows
	tariffs     map[tariff]*tariff
	touched     []*allocation // of this record
	waiting     []*allocation // for a silent GPU; some of them no more
	sweep       sweep
}

// A watermark is the instant before which an engine has said everything in time,
// and the place of the record that told.
type watermark struct{ at, place int64 }

// New checks cfg.
func New(cfg Config) (*Detector, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Detector{
		cfg: cfg.withDefaults(), longest: cfg.longest(), allocations: map[string]*allocation{},
		engines: map[uint32]watermark{}, behind: never, seen: -never, tariffs: map[tariff]*tariff{},
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
	place = never
	for _, a := range d.allocations {
		place = min(place, a.needs())
	}
	place = min(place, d.marked())
	return place, place != never
}

// marked is the first place of the watermarks.
func (d *Detector) marked() int64 {
	place := never
	for _, m := range d.engines {
		place = min(place, m.place)
	}
	return place
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
			a.pinned = min(place, a.said(), d.marked())
		}
	}
	if d.dead() > hour {
		d.bury()
	}
}

// mark notes a watermark. It reports whether that moved it.
func (d *Detector) mark(place int64, r *schemas.Activity) bool {
	old, ok := d.engines[r.Engine]
	if ok && r.From <= old.at {
		return false
	}
	d.engines[r.Engine], d.seen = watermark{r.From, place}, max(d.seen, r.From)
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
	maps.DeleteFunc(d.engines, func(_ uint32, m watermark) bool { return m.at < dead })
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

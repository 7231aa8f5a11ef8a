package idle

import (
	"cmp"
	"fmt"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// A cause is why a finding is revised.
type cause uint8

const (
	nothing cause = iota
	opened        // as a notice
	rose          // to an alert, or opened as one
	stepped       // is open for a while
	worked        // resolved by work
	ended         // resolved by its GPUs' release
)

// An event is a decision about an allocation at an instant.
type event struct {
	cause cause
	at    int64
}

// decide takes the decisions of (from, to] and appends the revisions. No instant
// is decided twice: what comes late counts from then on.
func (d *Detector) decide(out []schemas.Finding, a *allocation, place, from, to int64, over bool) []schemas.Finding {
	s := d.cfg.of(a.phase)
	if len(a.line) > 0 {
		from = max(from, a.finding.UpdatedAt, a.line[0].from)
		for from < to {
			e := d.next(a, &s, from, to)
			if e.cause == nothing {
				break
			}
			out = append(out, d.revise(a, &s, place, e))
			from = e.at
		}
	}
	if over && a.open() {
		out = append(out, d.revise(a, &s, place, event{ended, max(to, a.finding.UpdatedAt)}))
	}
	return out
}

// next is the first event in (from, to].
func (d *Detector) next(a *allocation, s *Settings, from, to int64) (e event) {
	first := func(c cause, t int64, ok bool) {
		if ok {
			e, to = event{c, t}, t-1
		}
	}
	if !a.open() {
		w := a.window(s, s.Notice)
		t, ok := a.line.falls(&w, from, to)
		first(opened, t, ok)
		if w = a.window(s, s.Alert); ok {
			to++ // an alert at the same instant opens it as one
		}
		t, ok = a.line.falls(&w, from, to)
		first(rose, t, ok)
		return e
	}
	w := a.window(s, s.Alert)
	w.floor, _ = a.line.sums(a.idleSince)
	t, ok := a.line.rises(&w, from, to)
	first(worked, t, ok)
	if a.finding.Severity == schemas.SeverityNotice {
		w = a.window(s, s.Alert)
		t, ok = a.line.falls(&w, from, to)
		first(rose, t, ok)
	}
	t = d.cfg.nextStep(max(a.finding.OpenedAt, a.finding.ThresholdAt), a.finding.UpdatedAt)
	first(stepped, t, t > from && t <= to)
	return e
}

// window is the trailing window of a finding to come. Grace is no part of it, and
// neither is idleness of a finding that was resolved.
func (a *allocation) window(s *Settings, length int64) window {
	w := window{length: length, limit: length * int64(s.Share), floor: a.line[0].measured}
	if s.Grace > 0 {
		floor, _ := a.line.sums(a.start + s.Grace)
		w.floor = max(w.floor, floor)
	}
	if a.resolved != 0 {
		floor, _ := a.line.sums(a.line.quietBefore(a.resolved, s.Share))
		w.floor = max(w.floor, floor)
	}
	return w
}

// revise makes the next revision of the finding, or the first of a new one.
func (d *Detector) revise(a *allocation, s *Settings, place int64, e event) schemas.Finding {
	f := &a.finding
	if !a.open() {
		*f = schemas.Finding{
			Finding: fmt.Sprintf("%s/%s/%d", schemas.KindIdle, a.name, e.at), Kind: schemas.KindIdle, Status: schemas.StatusOpen,
			Severity: schemas.SeverityNotice, OpenedAt: e.at, Allocation: a.name,
		}
		a.begin(s, e)
	}
	f.Revision++
	f.UpdatedAt = e.at
	switch e.cause {
	case rose:
		f.Severity, f.ThresholdAt = schemas.SeverityAlert, e.at
	case worked, ended:
		f.Status, f.ResolvedAt = schemas.StatusResolved, e.at
	}
	a.describeFinding(s, e)
	a.decided, a.pinned = place, d.marked(min(place, a.said()))
	out := *f
	if !a.open() {
		a.resolved, a.counts, a.total = e.at, false, 0
	}
	return out
}

// begin finds out since when the allocation is idle, and what that has cost.
func (a *allocation) begin(s *Settings, e event) {
	length := s.Notice
	if e.cause == rose {
		length = s.Alert
	}
	measured, _ := a.line.sums(e.at)
	a.idleSince = a.line.idleFrom(measured-length*whole, s.Share)
	a.finding.Currency = a.currency()
	a.counts, a.total = true, a.burnt(a.idleSince, never)
}

// currency is that of the earliest idle time that has a price.
func (a *allocation) currency() (currency string) {
	at := never
	for _, p := range a.parts {
		for i := range p.stretches {
			s := &p.stretches[i]
			if s.from >= at {
				break
			}
			if s.idle() && s.to > a.idleSince && s.tariff.currency != "" {
				at, currency = s.from, s.tariff.currency
			}
		}
	}
	return currency
}

// restore takes over a revision.
func (a *allocation) restore(place int64, f *schemas.Finding) {
	a.finding, a.decided, a.pinned = *f, place, place
	a.idleSince = f.OpenedAt
	for _, l := range f.Evidence {
		if t, err := time.Parse(instantFormat, l.Value); l.Key == evidenceIdleSince && err == nil {
			a.idleSince = t.UnixMilli()
		}
	}
	if !a.open() {
		a.resolved = cmp.Or(f.ResolvedAt, f.UpdatedAt)
	}
}

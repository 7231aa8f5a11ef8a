package engine

import "slices"

// An attribution is what the rows of one holder on one record are attributed to,
// over time: an allocation's, or a record's own for time that nobody holds.
type attribution struct {
	rec     *record
	rules   uint32 // Engine.ruleVersion that it follows
	version uint32 // allocation.version that it follows
	steps   []attributed
}

// An attributed step begins at from and lasts until the next one. Each step cuts
// the rows: another set of rules in force, or other labels.
type attributed struct {
	from   int64
	values [attributes]text
	labels text
	hash   uint64
}

// attributionFor is what al, nil for nobody, is attributed to on rec.
func (e *Engine) attributionFor(al *allocation, rec *record) *attribution {
	if al == nil {
		if rec.free.rec == nil || rec.free.rules != e.ruleVersion {
			e.attribute(&rec.free, nil, rec)
		}
		return &rec.free
	}
	for _, a := range al.attributions {
		if a.rec == rec {
			if a.rules != e.ruleVersion || a.version != al.version {
				e.attribute(a, al, rec)
			}
			return a
		}
	}
	a := &attribution{}
	e.attribute(a, al, rec)
	al.attributions = append(al.attributions, a)
	return a
}

// attribute makes the steps of a.
func (e *Engine) attribute(a *attribution, al *allocation, rec *record) {
	*a = attribution{rec: rec, rules: e.ruleVersion, steps: a.steps[:0]}
	var labellings []labelling
	if al != nil {
		a.version, labellings = al.version, al.labels
	}
	cuts := e.cuts[:0]
	cuts = append(cuts, forever)
	for _, l := range labellings {
		cuts = append(cuts, l.from)
	}
	about := e.about[:0] // rules that may match
	for _, r := range e.rules {
		if al == nil && e.matches(r, rec, nil, nil) || al != nil && e.everMatches(r, rec, al) {
			about = append(about, r)
			cuts = append(cuts, r.From, r.to)
		}
	}
	slices.Sort(cuts)
	e.cuts, e.about, e.before = cuts, about, e.before[:0]
	for _, t := range slices.Compact(cuts) {
		var labels labelling
		for _, l := range labellings {
			if l.from <= t {
				labels = l
			}
		}
		force := e.force[:0]
		for _, r := range about {
			if r.From <= t && t < r.to && e.matches(r, rec, al, labels.labels) {
				force = append(force, r)
			}
		}
		e.force = force
		if n := len(a.steps); n > 0 && a.steps[n-1].labels == labels.json && slices.Equal(e.before, force) {
			continue
		}
		a.steps = append(a.steps, e.decide(t, labels, force))
		e.before = append(e.before[:0], force...)
	}
}

// decide is rule 9 at one instant, key by key.
func (e *Engine) decide(t int64, labels labelling, force []*rule) attributed {
	step := attributed{from: t, labels: labels.json}
	for k, name := range attributeNames() {
		var best *rule
		for _, r := range force {
			if r.sets[k] && (best == nil || r.precedes(best)) {
				best = r
			}
		}
		if best != nil {
			step.values[k] = best.value[k]
		} else {
			step.values[k] = e.texts.of(labelOf(labels.labels, name))
		}
	}
	step.hash = mix(e.texts.sum(step.values[:]...), e.texts.sum(step.labels))
	return step
}

// at is the index of the step in force at t.
func (a *attribution) at(t int64) int {
	i := len(a.steps) - 1
	for i > 0 && a.steps[i].from > t {
		i--
	}
	return i
}

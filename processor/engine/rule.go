package engine

import (
	"cmp"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// attributes is how many things a row is attributed to (rule 9).
const attributes = 7

// Places among them.
const (
	attributeTeam  = 0
	attributePhase = attributes - 1
)

// attributeNames lists them as tag rules and labels name them, in the order of
// the facts.
func attributeNames() [attributes]string {
	return [attributes]string{"team", "project", "cost_center", "environment", "model", "model_version", "phase"}
}

// A rule is one tag row, taken apart.
type rule struct {
	schemas.Tag
	to    int64
	globs []contract.Pair
	sets  [attributes]bool
	value [attributes]text
	text  string
}

// newRule takes a tag apart; nil when it never holds: an empty time, or a text
// that the input contract refuses.
func (e *Engine) newRule(t *schemas.Tag) *rule {
	match, ok1 := contract.Pairs(t.Match)
	set, ok2 := contract.Pairs(t.Set)
	r := &rule{Tag: *t, to: openEnd(t.To), globs: match, text: t.Match + "," + t.Set}
	if !ok1 || !ok2 || r.to <= r.From {
		return nil
	}
	for k, name := range attributeNames() {
		for _, p := range set {
			if p.Key == name {
				r.sets[k], r.value[k] = true, e.texts.of(p.Value)
			}
		}
	}
	return r
}

// precedes tells whether a decides before b, both being in force and matching.
func (a *rule) precedes(b *rule) bool {
	return cmp.Or(
		cmp.Compare(a.Priority, b.Priority),
		cmp.Compare(len(a.Match), len(b.Match)),
		cmp.Compare(a.From, b.From),
		strings.Compare(a.text, b.text),
	) > 0
}

// matches tells whether r is about al with labels on rec; al is nil for time that
// nobody holds.
func (e *Engine) matches(r *rule, rec *record, al *allocation, labels []schemas.Label) bool {
	for _, g := range r.globs {
		if !glob(g.Value, e.value(g.Key, rec, al, labels)) {
			return false
		}
	}
	return true
}

// value is what a key of a match stands for, empty when absent.
func (e *Engine) value(key string, rec *record, al *allocation, labels []schemas.Label) string {
	switch key {
	case "node":
		return rec.Node
	case "resource":
		return rec.Resource.Resource
	case "provider":
		return rec.Provider
	case "region":
		return rec.Region
	case "sku":
		return rec.SKU
	case "gpu_model":
		return rec.Model
	}
	if al == nil {
		return ""
	}
	switch key {
	case "allocation":
		return al.name
	case "user":
		return e.texts.all[al.user]
	case "name":
		return e.texts.all[al.title]
	case "namespace":
		return e.texts.all[al.space]
	case "image":
		return e.texts.all[al.image]
	}
	if name, ok := strings.CutPrefix(key, "label."); ok {
		return labelOf(labels, name)
	}
	return ""
}

func labelOf(labels []schemas.Label, key string) string {
	for _, l := range labels {
		if l.Key == key {
			return l.Value
		}
	}
	return ""
}

// everMatches tells whether r is about al on rec under any of its labels.
func (e *Engine) everMatches(r *rule, rec *record, al *allocation) bool {
	if e.matches(r, rec, al, nil) {
		return true
	}
	for _, l := range al.labels {
		if e.matches(r, rec, al, l.labels) {
			return true
		}
	}
	return false
}

// rule puts a new rule in force and marks the time that it is about.
func (e *Engine) rule(r *rule) {
	e.recollectAll(e.gpus)
	e.rules = append(e.rules, r)
	e.ruleVersion++
	if e.final == forever {
		return // nothing was computed
	}
	for _, g := range e.gpus {
		for _, s := range g.seats {
			from, to := max(r.From, s.rec.begin), min(r.to, s.rec.end)
			if from >= to {
				continue
			}
			if e.matches(r, s.rec, nil, nil) {
				e.mark(g, from, to)
				continue
			}
			for i := range g.holds {
				if h := &g.holds[i]; h.from < to && from < h.to && e.everMatches(r, s.rec, h.alloc) {
					e.mark(g, max(from, h.from), min(to, h.to))
				}
			}
			e.ruleFrozen(r, s.rec, g, from, to)
		}
	}
}

// ruleFrozen marks the time of frozen allocations that r is about.
func (e *Engine) ruleFrozen(r *rule, rec *record, g *gpu, from, to int64) {
	for _, name := range e.hinted(g, from, to) {
		if e.allocs[name] != nil {
			continue
		}
		e.peek(name, func(al *allocation, holds []placed) {
			if !e.everMatches(r, rec, al) {
				return
			}
			for _, h := range holds {
				if h.gpu == g {
					e.mark(g, max(from, h.from), min(to, h.to))
				}
			}
		})
	}
}

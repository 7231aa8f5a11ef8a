package engine

import (
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// A resource is all that was said of one resource id.
type resource struct {
	id      text
	name    string
	entries []entry   // what came, by from
	records []*record // what follows from it as of the last Advance, by from
	changed bool      // in Engine.resourced
}

// An entry is what came for one (resource, from).
type entry struct {
	best schemas.Resource // the greatest
	to   int64            // the earliest end; never = open
}

// A record is a resource from one instant until it ends or changes.
type record struct {
	schemas.Resource
	res   *resource
	begin int64 // it exists from here on: its From, but not before the ledger's
	end   int64 // not cut at the horizon
	node  *node
	gpus  []*gpu // in byte order of id; nil where the node is not owned
	price *priceList
	free  attribution // of time that nobody holds

	cluster, provider, region, sku, model text
	hash                                  uint64 // of all that a row repeats of it
}

// addResource keeps r and tells whether that changed anything.
func (res *resource) add(r *schemas.Resource) bool {
	i, found := slices.BinarySearchFunc(res.entries, r.From, func(e entry, from int64) int { return compareInt(e.best.From, from) })
	if !found {
		e := entry{best: *r, to: openEnd(r.To)}
		e.best.GPUs = slices.Clone(r.GPUs)
		res.entries = slices.Insert(res.entries, i, e)
		return true
	}
	e, changed := &res.entries[i], false
	if to := openEnd(r.To); to < e.to {
		e.to, changed = to, true
	}
	if compareResource(r, &e.best) > 0 {
		e.best, changed = *r, true
		e.best.GPUs = slices.Clone(r.GPUs)
	}
	return changed
}

func openEnd(to int64) int64 {
	if to == 0 {
		return never
	}
	return to
}

// refresh makes the records of res anew and marks what that changes.
func (e *Engine) refresh(res *resource) {
	res.changed = false
	old := res.records
	res.records = make([]*record, len(res.entries))
	for i := range res.entries {
		en := &res.entries[i]
		end := en.to
		if i+1 < len(res.entries) {
			end = min(end, res.entries[i+1].best.From)
		}
		k := slices.IndexFunc(old, func(r *record) bool { return r.From == en.best.From })
		if k >= 0 && old[k].same(&en.best) {
			e.moveEnd(old[k], end)
			res.records[i] = old[k]
			continue
		}
		if k >= 0 {
			e.unseat(old[k])
		}
		res.records[i] = e.seat(res, &en.best, end)
	}
}

// same tells whether r says what b says, but for the end.
func (r *record) same(b *schemas.Resource) bool {
	c := *b
	c.To = r.To
	return compareResource(&r.Resource, &c) == 0
}

func (e *Engine) moveEnd(r *record, end int64) {
	from, to := min(r.end, end), max(r.end, end)
	if from == to {
		return
	}
	e.recollectAll(r.gpus)
	r.end = end
	for _, g := range r.gpus {
		e.recut(g, max(from, r.begin), to)
	}
}

// seat makes a record and gives its GPUs their places in it.
func (e *Engine) seat(res *resource, b *schemas.Resource, end int64) *record {
	r := &record{Resource: *b, res: res, begin: e.begins(b.From), end: end, node: e.node(b.Node)}
	r.cluster, r.provider, r.region = e.texts.of(b.Cluster), e.texts.of(b.Provider), e.texts.of(b.Region)
	r.sku, r.model = e.texts.of(b.SKU), e.texts.of(b.Model)
	r.hash = e.texts.sum(r.cluster, r.provider, r.region, r.sku, r.model, r.node.name)
	r.price = e.prices.list(priceKey{b.Provider, b.Region, b.SKU, b.PricingCategory})
	if !r.node.owned {
		return r
	}
	r.price.users = append(r.price.users, r)
	for k, id := range b.GPUs {
		g := e.gpu(r.node, id)
		e.recollect(g)
		g.seats = append(g.seats, seat{r, uint32(k)})
		slices.SortFunc(g.seats, func(a, b seat) int { return compareInt(a.rec.From, b.rec.From) })
		g.account(res)
		r.gpus = append(r.gpus, g)
		e.recut(g, r.begin, end)
	}
	return r
}

// begins is when a record exists whose From is given.
func (e *Engine) begins(from int64) int64 {
	if e.cfg.From == 0 {
		return from
	}
	return max(from, e.cfg.From)
}

// unseat takes back a record that another of its key replaced.
func (e *Engine) unseat(r *record) {
	e.recollectAll(r.gpus)
	for _, g := range r.gpus {
		g.seats = slices.DeleteFunc(g.seats, func(s seat) bool { return s.rec == r })
		e.recut(g, r.begin, r.end)
	}
	r.price.users = slices.DeleteFunc(r.price.users, func(u *record) bool { return u == r })
}

// outranks tells whether a has a GPU before b where both are paid for.
func (r *record) outranks(b *record) bool {
	if r.From != b.From {
		return r.From > b.From
	}
	return strings.Compare(r.res.name, b.res.name) > 0
}

// alive tells whether r exists at t.
func (r *record) alive(t int64) bool { return r.begin <= t && t < r.end }

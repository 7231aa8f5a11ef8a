package engine

import (
	"cmp"
	"container/heap"
	"slices"
	"strconv"

	"github.com/gpumeter/gpumeter/schemas"
)

// priceKey says what a price is for (rule 7).
type priceKey struct{ provider, region, sku, category string }

// prices holds the price rows, a set, by key.
type prices struct {
	lists    map[priceKey]*priceList
	stale    []*priceList
	disputed []*priceList // have conflicts
}

// A priceList is what one key costs over time.
type priceList struct {
	key   priceKey
	rows  []*priceRow
	have  map[schemas.Price]bool
	steps []priceStep // what is in force from an instant until the next step
	users []*record   // records of owned nodes that are billed by it
	stale bool

	conflicts []conflict
	told      map[int64]bool // conflicts reported, by known_at
}

// A priceRow is one row with its absent values filled in.
type priceRow struct {
	from, to, known int64
	perHour         int64
	currency, id    text
	money           string
	hash            uint64
}

// A priceStep begins at from; row is nil while the time is unpriced.
type priceStep struct {
	from int64
	row  *priceRow
}

// A conflict is two different prices known at one instant, both in force at from:
// that time is unpriced.
type conflict struct{ from, known int64 }

func (p *prices) list(key priceKey) *priceList {
	l, ok := p.lists[key]
	if !ok {
		l = &priceList{key: key, have: map[schemas.Price]bool{}, told: map[int64]bool{}, steps: []priceStep{{from: forever}}}
		p.lists[key] = l
	}
	return l
}

func (p *prices) add(r *schemas.Price, t *texts) {
	l := p.list(priceKey{r.Provider, r.Region, r.SKU, r.PricingCategory})
	to := openEnd(r.To)
	if l.have[*r] || to <= r.From {
		return
	}
	l.have[*r] = true
	row := &priceRow{from: r.From, to: to, known: r.KnownAt, perHour: r.PerHour, currency: t.of(r.Currency), money: r.Currency}
	if row.known == 0 {
		row.known = r.From
	}
	row.id = t.of(r.Provider + "/" + r.Region + "/" + r.SKU + "/" + r.PricingCategory +
		"@" + strconv.FormatInt(row.from, 10) + "/" + strconv.FormatInt(row.known, 10))
	row.hash = t.sum(row.id, row.currency)
	l.rows = append(l.rows, row)
	if !l.stale {
		l.stale = true
		p.stale = append(p.stale, l)
	}
}

// same tells whether a span goes on from a to b.
func (s priceStep) same(b priceStep) bool {
	if s.row == nil || b.row == nil {
		return s.row == b.row
	}
	return s.row.id == b.row.id && s.row.currency == b.row.currency && s.row.perHour == b.row.perHour
}

// A vintage is the rows of one known_at that are in force.
type vintage struct {
	known int64
	rows  []*priceRow
}

// vintages is a heap, the latest known first.
type vintages []*vintage

func (v vintages) Len() int           { return len(v) }
func (v vintages) Less(i, j int) bool { return v[i].known > v[j].known }
func (v vintages) Swap(i, j int)      { v[i], v[j] = v[j], v[i] }
func (v *vintages) Push(x any)        { *v = append(*v, x.(*vintage)) }
func (v *vintages) Pop() any {
	last := (*v)[len(*v)-1]
	*v = (*v)[:len(*v)-1]
	return last
}

// build makes the steps anew: a sweep over the bounds of all rows, with the rows
// in force by known_at. n rows cost n·log n.
func (l *priceList) build() {
	slices.SortFunc(l.rows, func(a, b *priceRow) int { return compareInt(a.from, b.from) })
	cuts := make([]int64, 0, 2*len(l.rows))
	for _, r := range l.rows {
		cuts = append(cuts, r.from)
		if r.to != never {
			cuts = append(cuts, r.to)
		}
	}
	slices.Sort(cuts)
	l.steps, l.conflicts = []priceStep{{from: forever}}, l.conflicts[:0]
	var force vintages
	byKnown := map[int64]*vintage{}
	next := 0
	for _, t := range slices.Compact(cuts) {
		for ; next < len(l.rows) && l.rows[next].from <= t; next++ {
			r := l.rows[next]
			v := byKnown[r.known]
			if v == nil {
				v = &vintage{known: r.known}
				byKnown[r.known] = v
				heap.Push(&force, v)
			}
			v.rows = append(v.rows, r)
		}
		row, known := force.at(t, byKnown)
		if known != never {
			l.conflicts = append(l.conflicts, conflict{t, known})
		}
		if step := (priceStep{t, row}); !step.same(l.steps[len(l.steps)-1]) {
			l.steps = append(l.steps, step)
		}
	}
}

// at is the row in force at t, or the instant at which two different ones were
// known; vintages that have ended are dropped.
func (v *vintages) at(t int64, byKnown map[int64]*vintage) (row *priceRow, conflict int64) {
	for len(*v) > 0 {
		top := (*v)[0]
		top.rows = slices.DeleteFunc(top.rows, func(r *priceRow) bool { return r.to <= t })
		if len(top.rows) > 0 {
			return top.choose()
		}
		delete(byKnown, top.known)
		heap.Pop(v)
	}
	return nil, never
}

// choose is rule 7 among rows known at one instant: one price, or a conflict. Of
// rows of one price the later effective_from is named, then the later end.
func (v *vintage) choose() (row *priceRow, conflict int64) {
	best := v.rows[0]
	for _, r := range v.rows[1:] {
		if r.perHour != best.perHour || r.currency != best.currency {
			return nil, v.known
		}
		if cmp.Or(compareInt(r.from, best.from), compareInt(r.to, best.to)) > 0 {
			best = r
		}
	}
	return best, never
}

// at is the index of the step in force at t.
func (l *priceList) at(t int64) int {
	if len(l.steps) == 1 || l.steps[1].from > t {
		return 0
	}
	if last := len(l.steps) - 1; l.steps[last].from <= t {
		return last
	}
	i, found := slices.BinarySearchFunc(l.steps, t, func(s priceStep, t int64) int { return compareInt(s.from, t) })
	if !found {
		i--
	}
	return i
}

// reprice builds the lists that got rows and marks where the price is another.
func (e *Engine) reprice() {
	for _, l := range e.prices.stale {
		l.stale = false
		for _, r := range l.users {
			e.recollectAll(r.gpus)
		}
		old := l.steps
		l.build()
		if len(l.conflicts) > 0 && !slices.Contains(e.prices.disputed, l) {
			e.prices.disputed = append(e.prices.disputed, l)
		}
		changed(old, l.steps, func(from, to int64) {
			for _, r := range l.users {
				for _, g := range r.gpus {
					e.mark(g, max(from, r.begin), min(to, r.end))
				}
			}
		})
	}
	e.prices.stale = e.prices.stale[:0]
}

// changed calls f for each stretch in which two lists of steps differ.
func changed(a, b []priceStep, f func(from, to int64)) {
	at := int64(forever)
	for i, j := 0, 0; ; {
		next := min(startOf(a, i+1), startOf(b, j+1))
		if !a[i].same(b[j]) {
			f(at, next)
		}
		if next == never {
			return
		}
		if startOf(a, i+1) == next {
			i++
		}
		if startOf(b, j+1) == next {
			j++
		}
		at = next
	}
}

func startOf(steps []priceStep, i int) int64 {
	if i < len(steps) {
		return steps[i].from
	}
	return never
}

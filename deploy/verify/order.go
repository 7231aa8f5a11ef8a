package verify

import (
	"slices"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// order checks that every key is there once.
type order struct {
	tally
	before oracle.Row
}

func newOrder() *order {
	return &order{tally: newTally("keys", "every row has a key of its own")}
}

func (o *order) row(r *oracle.Row) {
	if o.Compared++; o.Compared > 1 && o.before.Compare(r) == 0 {
		o.broken(keyOf(r), "", "one row", "the row twice")
	}
	o.before = *r
	o.before.Runs, o.before.Labels = nil, nil
}

func (o *order) end() {}

// pricing checks each row by itself: positions, runs and the price in force give
// its milliseconds and its money.
type pricing struct {
	tally
	paid   *paid
	window int64
}

func newPricing(p *paid, window int64) *pricing {
	return &pricing{tally: newTally("rows", "positions x runs x price give each row's milliseconds and money"), paid: p, window: window}
}

func (p *pricing) end() {}

func (p *pricing) row(r *oracle.Row) {
	p.Compared++
	s, part := p.paid.at(r.Resource, r.WindowStart)
	if s == nil {
		p.broken(keyOf(r), "", "no row: the resource does not exist then", "a row")
		return
	}
	k := int64(slices.Index(s.GPUs, r.GPU))
	if k < 0 || r.PositionFrom < k*million || r.PositionTo > (k+1)*million || r.PositionFrom > r.PositionTo {
		p.broken(keyOf(r), "position", "a part of the GPU", value(r.PositionFrom)+" to "+value(r.PositionTo))
		return
	}
	if r.WindowEnd > part.To {
		p.broken(keyOf(r), "window_end", "at most "+instant(part.To)+", where hour, price or resource change", instant(r.WindowEnd))
		return
	}
	p.texts(r, s, part)
	p.amounts(r, len(s.GPUs), part)
}

func (p *pricing) texts(r *oracle.Row, s *stay, part *oracle.Part) {
	for _, c := range []struct{ column, expected, found string }{
		{"node", s.Node, r.Node},
		{"cluster", s.Cluster, r.Cluster},
		{"provider", s.Provider, r.Provider},
		{"region", s.Region, r.Region},
		{"sku", s.SKU, r.SKU},
		{"gpu_model", s.GPUModel, r.GPUModel},
		{"price_id", part.PriceID, r.PriceID},
		{"currency", part.Currency, r.Currency},
	} {
		if c.expected != c.found {
			p.broken(keyOf(r), c.column, c.expected, c.found)
		}
	}
}

func (p *pricing) amounts(r *oracle.Row, gpus int, part *oracle.Part) {
	ms, cost := int64(0), int64(0)
	begin := windowStart(r.WindowStart, p.window)
	for i := 0; i+1 < len(r.Runs); i += 2 {
		from, to := begin+r.Runs[i], begin+r.Runs[i+1]
		if from < r.WindowStart || to > r.WindowEnd || from >= to {
			p.broken(keyOf(r), "runs", "runs inside the row's span", instant(from)+" to "+instant(to))
			return
		}
		ms += oracle.Milliseconds(r.PositionFrom, r.PositionTo, from, to)
		if part.PriceID != "" {
			cost += oracle.Money(part.PerHour, gpus, r.PositionFrom, r.PositionTo, from, to)
		}
	}
	p.number(r, "gpu_ms", ms, r.GPUMs)
	if priced := part.PriceID != ""; priced != r.Priced {
		p.broken(keyOf(r), "price_status", status(priced), status(r.Priced))
		return
	}
	waste := int64(0)
	if r.State == oracle.Idle || r.State == oracle.IdleHeld {
		waste = cost
	}
	p.number(r, "list_cost", cost, r.ListCost)
	p.number(r, "effective_cost", cost, r.EffectiveCost)
	p.number(r, "waste_cost", waste, r.WasteCost)
	p.used(r)
}

func status(priced bool) string {
	if priced {
		return "priced"
	}
	return "unpriced"
}

// used checks used_gpu_ms and used_cost. The load is utilization_avg or
// sm_active_avg where only one of them is reported, and 0 where none is; where
// both are, some samples may have had one only, so that any load will do that
// gives both columns.
func (p *pricing) used(r *oracle.Row) {
	lo, hi := int64(0), int64(million)
	switch {
	case r.SMActive == oracle.Absent && r.Utilization == oracle.Absent:
		hi = 0
	case r.SMActive == oracle.Absent:
		lo, hi = r.Utilization, r.Utilization
	case r.Utilization == oracle.Absent:
		lo, hi = r.SMActive, r.SMActive
	}
	lo, hi = loads(lo, hi, r.GPUMs, r.UsedGPUMs)
	if lo > hi {
		p.broken(keyOf(r), "used_gpu_ms", "gpu_ms x load", value(r.UsedGPUMs))
		return
	}
	if lo, hi = loads(lo, hi, r.EffectiveCost, r.UsedCost); lo > hi {
		p.broken(keyOf(r), "used_cost", "effective_cost x load", value(r.UsedCost))
	}
}

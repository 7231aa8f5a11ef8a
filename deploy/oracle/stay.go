package oracle

import (
	"maps"
	"math/big"
	"slices"
)

// A Stay is a record in the time in which it exists.
type Stay struct {
	Record
	Start, End int64 // ms: it exists in [Start, End)
}

// Stays lists every record that exists for some time before the horizon, in
// order of resource and start.
func (l *Ledger) Stays() []Stay {
	var all []Stay
	for _, resource := range slices.Sorted(maps.Keys(l.records)) {
		for _, r := range l.records[resource] {
			if r.start < r.end {
				all = append(all, Stay{r.Record, r.start, r.end})
			}
		}
	}
	return all
}

// A Part is a part of a stay inside one UTC hour with one price, or none.
type Part struct {
	From, To int64  // ms
	PriceID  string // empty when unpriced
	Currency string
	PerHour  int64 // nano-units
	Whole    int64 // nano-units: what all GPUs together cost by rule 8; 0 when unpriced
}

// Parts cuts a stay by hour and price.
func (l *Ledger) Parts(s Stay) []Part {
	r := &record{s.Record, s.Start, s.End}
	cuts := append([]int64{s.Start, s.End}, l.priceCuts(r, s.Start, s.End)...)
	for t := (floorDiv(s.Start, hour) + 1) * hour; t < s.End; t += hour {
		cuts = append(cuts, t)
	}
	var parts []Part
	eachStretch(cuts, func(from, to int64) {
		p := Part{From: from, To: to}
		if price := l.priceAt(r, from); price.perHour != nil {
			p.PriceID, p.Currency, p.PerHour = price.id, price.currency, price.perHour.Int64()
			p.Whole = Money(p.PerHour, len(s.GPUs), 0, int64(len(s.GPUs))*million, from, to)
		}
		parts = append(parts, p)
	})
	return parts
}

// Money is rule 8's R of a rectangle in nano-units: positions x0 to x1 in ppm of
// a GPU on a resource of n GPUs, from t0 to t1 in Unix ms in one UTC hour.
func Money(perHour int64, n int, x0, x1, t0, t1 int64) int64 {
	return area{x0, x1, t0, t1}.money(big.NewInt(perHour), n)
}

// Milliseconds is rule 8's G of a rectangle.
func Milliseconds(x0, x1, t0, t1 int64) int64 { return area{x0, x1, t0, t1}.ms() }

package oracle

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// A priceKey is what a price is for.
type priceKey struct{ provider, region, sku, category string }

// A Price is one line of prices.csv.
type Price struct {
	Provider, Region, SKU, PricingCategory, Currency string

	PerHour  int64 // nano-units for a whole resource-hour
	From, To int64 // ms; To is Absent while it is open
	KnownAt  int64 // ms; Absent = From
}

const maxPrice = 999_999_999_999_999_999 // nano-units: Decimal(18, 9)

func priceTable(in *input) table {
	return table{
		required: []string{"provider", "region", "sku", "pricing_category", "currency", "price_per_hour", "effective_from"},
		row: func(cell func(string) string) error {
			p, err := parsePrice(cell)
			if err == nil {
				in.prices = append(in.prices, p)
			}
			return err
		},
	}
}

func parsePrice(cell func(string) string) (Price, error) {
	p := Price{
		Provider: cell("provider"), Region: cell("region"), SKU: cell("sku"),
		PricingCategory: cell("pricing_category"), Currency: cell("currency"),
	}
	amount, ok := scaled(strings.TrimSpace(cell("price_per_hour")), 9)
	if !ok || !isCategory(p.PricingCategory) || p.Provider == "" || p.Currency == "" {
		return p, errRow
	}
	if p.PerHour, ok = amountOf(amount, maxPrice); !ok {
		return p, errRow
	}
	var errs [3]error
	p.From, errs[0] = cellTime(cell("effective_from"), true, false)
	p.To, errs[1] = cellTime(cell("effective_to"), false, true)
	p.KnownAt, errs[2] = cellTime(cell("known_at"), false, true)
	return p, errors.Join(errs[:]...)
}

func (p *Price) known() int64 {
	if p.KnownAt == Absent {
		return p.From
	}
	return p.KnownAt
}

func (p *Price) end() int64 {
	if p.To == Absent {
		return maxInt64
	}
	return p.To
}

func (p *Price) id() string {
	return fmt.Sprintf("%s/%s/%s/%s@%d/%d", p.Provider, p.Region, p.SKU, p.PricingCategory, p.From, p.known())
}

// A priceSpan is the time in which one price, or none, is in force.
type priceSpan struct {
	from, to int64 // ms
	id       string
	perHour  *big.Int // nano-units; nil = unpriced
	currency string
}

// priceSpans says which price is in force when. The spans of a key are in order
// and cover all time that any of its rows covers.
func priceSpans(all []Price) map[priceKey][]priceSpan {
	byKey := map[priceKey][]Price{}
	for _, p := range all {
		if p.From < p.end() {
			k := priceKey{p.Provider, p.Region, p.SKU, p.PricingCategory}
			byKey[k] = append(byKey[k], p)
		}
	}
	spans := map[priceKey][]priceSpan{}
	for k, rows := range byKey {
		var cuts []int64
		for _, p := range rows {
			cuts = append(cuts, p.From, p.end())
		}
		slices.Sort(cuts)
		cuts = slices.Compact(cuts)
		for i := 1; i < len(cuts); i++ {
			s := inForce(rows, cuts[i-1])
			s.from, s.to = cuts[i-1], cuts[i]
			spans[k] = append(spans[k], s)
		}
	}
	return spans
}

// inForce is rule 7 at one instant, without the span's bounds.
func inForce(rows []Price, t int64) priceSpan {
	var best []Price // those with the latest known_at
	for _, p := range rows {
		if t < p.From || p.end() <= t {
			continue
		}
		if len(best) > 0 && p.known() > best[0].known() {
			best = best[:0]
		}
		if len(best) == 0 || p.known() == best[0].known() {
			best = append(best, p)
		}
	}
	if len(best) == 0 {
		return priceSpan{}
	}
	for _, p := range best {
		if p.PerHour != best[0].PerHour || p.Currency != best[0].Currency {
			return priceSpan{} // a conflict
		}
	}
	p := slices.MaxFunc(best, func(a, b Price) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.end(), b.end()))
	})
	return priceSpan{id: p.id(), perHour: big.NewInt(p.PerHour), currency: p.Currency}
}

// priceAt is the price of a record at t.
func (l *Ledger) priceAt(r *record, t int64) priceSpan {
	spans := l.pricesOf(r)
	i, found := slices.BinarySearchFunc(spans, t, func(s priceSpan, t int64) int { return cmp.Compare(s.from, t) })
	if !found {
		i--
	}
	if i < 0 || t >= spans[i].to {
		return priceSpan{}
	}
	return spans[i]
}

func (l *Ledger) pricesOf(r *record) []priceSpan {
	return l.prices[priceKey{r.Provider, r.Region, r.SKU, r.PricingCategory}]
}

// priceCuts are the instants in (from, to) at which the price id of a record changes.
func (l *Ledger) priceCuts(r *record, from, to int64) []int64 {
	var cuts []int64
	for _, s := range l.pricesOf(r) {
		for _, t := range []int64{s.from, s.to} {
			if from < t && t < to && l.priceAt(r, t-1).id != l.priceAt(r, t).id {
				cuts = append(cuts, t)
			}
		}
	}
	return cuts
}

package replay

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Totals are the sums of the whole ledger, as it now stands.
type Totals struct {
	Rows        uint64           `json:"rows"`
	States      map[string]Money `json:"states"`
	Allocations Money            `json:"allocations"` // what allocations hold
	All         Money            `json:"all"`
}

// Money is GPU time and what it costs.
type Money struct {
	GPUMs      int64             `json:"gpu_ms"`
	UnpricedMs int64             `json:"unpriced_gpu_ms"` // of GPUMs, without a price
	ListCost   map[string]string `json:"list_cost"`       // decimal by currency: a float would round it
}

// selectTotals sums what is in the ledger in one pass. ClickHouse adds the
// decimals; nothing is left to add here.
const selectTotals = `
SELECT grouping(s) = 0 AS by_state, grouping(held) = 0 AS by_held, toString(s), held, c,
    sum(gpu_ms), sumIf(gpu_ms, c = ''), toString(sum(cost)), count()
FROM (SELECT state AS s, allocation != '' AS held, toString(currency) AS c, gpu_ms, ifNull(list_cost, 0)::Decimal(38, 9) AS cost FROM gpumeter.cost)
GROUP BY GROUPING SETS ((s, c), (held, c), (c))`

// totals asks the ledger.
func totals(ctx context.Context, conn driver.Conn) (Totals, error) {
	t := Totals{States: map[string]Money{}}
	rows, err := conn.Query(ctx, selectTotals)
	if err != nil {
		return t, fmt.Errorf("sum the ledger: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var byState, byHeld, held uint8
		var state, currency, cost string
		var ms, unpriced int64
		var n uint64
		if err := rows.Scan(&byState, &byHeld, &state, &held, &currency, &ms, &unpriced, &cost, &n); err != nil {
			return t, fmt.Errorf("sum the ledger: %w", err)
		}
		switch {
		case byState == 1:
			t.States[state] = t.States[state].plus(ms, unpriced, currency, cost)
		case byHeld == 1 && held == 1:
			t.Allocations = t.Allocations.plus(ms, unpriced, currency, cost)
		case byHeld == 0:
			t.All = t.All.plus(ms, unpriced, currency, cost)
			t.Rows += n
		}
	}
	if err := rows.Err(); err != nil {
		return t, fmt.Errorf("sum the ledger: %w", err)
	}
	return t, nil
}

// plus adds what is in one currency; each comes once.
func (m Money) plus(ms, unpriced int64, currency, cost string) Money {
	m.GPUMs += ms
	m.UnpricedMs += unpriced
	if m.ListCost == nil {
		m.ListCost = map[string]string{}
	}
	if currency != "" {
		m.ListCost[currency] = cost
	}
	return m
}

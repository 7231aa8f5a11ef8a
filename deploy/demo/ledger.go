package demo

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// states are the ledger's, in the order of the enum.
func states() []string {
	return []string{"active", "idle_held", "idle", "unallocated", "unavailable", "unknown"}
}

// ask reads the ledger up to its horizon, in windows of the given length. Before
// the first fact the answer is the zero Ledger.
func ask(ctx context.Context, conn driver.Conn, horizon time.Time, window time.Duration) (l Ledger, err error) {
	from := horizon.Add(-time.Millisecond).Truncate(window).Add(-window)
	now, err := rows(ctx, conn, selectNow, (*part).now, from)
	if err != nil {
		return l, fmt.Errorf("what GPUs do now: %w", err)
	}
	if err := conn.QueryRow(ctx, selectGPUs, from).Scan(&l.GPUs); err != nil {
		return l, fmt.Errorf("count the GPUs: %w", err)
	}
	all, err := rows(ctx, conn, selectTotals, (*part).total)
	if err != nil {
		return l, fmt.Errorf("sum the ledger: %w", err)
	}
	l.sum(now, all)
	if l.Idle, err = rows(ctx, conn, selectIdle, (*Idle).fields); err != nil {
		return l, fmt.Errorf("who is idle: %w", err)
	}
	if l.Findings, err = rows(ctx, conn, selectFindings, (*Finding).fields); err != nil {
		return l, fmt.Errorf("read the findings: %w", err)
	}
	if err := conn.QueryRow(ctx, selectCounts).Scan(&l.Opened, &l.Alerts, &l.Resolved); err != nil {
		return l, fmt.Errorf("count the findings: %w", err)
	}
	if err := conn.QueryRow(ctx, selectRestated).Scan(&l.Restated); err != nil {
		return l, fmt.Errorf("count what was restated: %w", err)
	}
	return l, nil
}

// rows reads an answer whole.
func rows[T any](ctx context.Context, conn driver.Conn, sql string, fields func(*T) []any, args ...any) ([]T, error) {
	answer, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Close() }() // its error is that of Err
	var all []T
	for answer.Next() {
		var row T
		if err := answer.Scan(fields(&row)...); err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, answer.Err()
}

// A part is the sum of facts in one state and currency.
type part struct {
	state, currency string // currency is empty for what has no price
	ms              int64  // GPU time
	cost, waste     int64  // nano-units
	until           time.Time
}

func (p *part) now() []any {
	return []any{&p.state, &p.currency, &p.ms, &p.cost, &p.until}
}

func (p *part) total() []any {
	return []any{&p.state, &p.currency, &p.cost, &p.waste}
}

func (i *Idle) fields() []any {
	return []any{
		&i.Allocation, &i.User, &i.Team, &i.Node, &i.GPUs, &i.Severity, &i.Since,
		(*int64)(&i.Burnt), (*int64)(&i.PerHour), &i.Currency,
	}
}

func (f *Finding) fields() []any {
	return []any{&f.ID, &f.Allocation, &f.User, &f.Team, &f.News, &f.At, (*int64)(&f.Burnt), (*int64)(&f.PerHour), &f.Currency}
}

// sum fills in the money, in the currency that has the most of it.
func (l *Ledger) sum(now, all []part) {
	l.Currency, l.Others = most(all)
	at := map[string]int{}
	for i, name := range states() {
		l.States = append(l.States, State{Name: name})
		at[name] = i
	}
	var ms int64
	for _, p := range now {
		ms += p.ms
		if p.until.After(l.At) {
			l.At = p.until
		}
	}
	for _, p := range now {
		if ms <= 0 {
			break
		}
		s := &l.States[at[p.state]]
		s.GPUs += float64(p.ms) * float64(l.GPUs) / float64(ms)
		if p.currency == l.Currency {
			s.PerHour += perHour(p.cost, ms, l.GPUs)
		}
	}
	for _, p := range all {
		if p.currency == l.Currency {
			l.States[at[p.state]].Cost += Nano(p.cost)
			l.Total += Nano(p.cost)
			l.Wasted += Nano(p.waste)
		}
	}
}

// perHour is what an hour costs when cost is what some of the GPUs, which were all
// there for ms / gpus, spent in that time.
func perHour(cost, ms int64, gpus uint64) Nano {
	n := new(big.Int).SetUint64(gpus)
	n.Mul(n, big.NewInt(time.Hour.Milliseconds()))
	n.Mul(n, big.NewInt(cost))
	return Nano(n.Quo(n, big.NewInt(ms)).Int64())
}

// most is the currency of the greatest sum, and how many others there are.
func most(all []part) (currency string, others int) {
	sums := map[string]int64{}
	for _, p := range all {
		if p.currency != "" {
			sums[p.currency] += p.cost
		}
	}
	currencies := slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		return cmp.Or(cmp.Compare(sums[b], sums[a]), cmp.Compare(a, b))
	})
	if len(currencies) == 0 {
		return "", 0
	}
	return currencies[0], len(currencies) - 1
}

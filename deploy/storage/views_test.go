package storage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

const (
	active  = schemas.StateActive
	idle    = schemas.StateIdle
	unknown = schemas.StateUnknown
	final   = schemas.FinalityFinal
)

// keyAndCost are what most of the tests look at.
const keyAndCost = "gpu, toString(toUnixTimestamp64Milli(window_start) - 1767571200000), allocation, toString(state), toString(list_cost), toString(revision)"

func TestFactsAreReadAsTheyWereWritten(t *testing.T) {
	e := newEngine(t)
	for name, dsn := range map[string]string{"native": e.DSN(), "http": e.HTTPURL()} {
		e.store(dsn, 1, origin, fact{gpu: name, allocation: "a", state: active, finality: final, cost: 1_234_567_890, labels: `{"team":"x","q\"":"y"}`},
			fact{gpu: name, from: 10, to: 20, state: idle, finality: final, cost: -1, absent: true},
			fact{gpu: name, from: 20, to: 30, state: unknown, finality: final, unpriced: true})
		e.want("toString(state), toString(attribution), toString(finality), toString(utilization_avg), toString(memory_used_max_bytes), toString(energy_joules), toString(list_cost), toString(labels), toString(runs), toString(price_status)",
			"gpumeter.cost WHERE gpu = '"+name+"' ORDER BY window_start, state",
			`active|exclusive|final|0.25|1073741824|1.5|1.23456789|{'team':'x','q"':'y'}|[0,60000]|priced`,
			"idle|exclusive|final|NULL|NULL|NULL|-0.000000001|{}|[10,20]|priced",
			"unknown|exclusive|final|0.25|1073741824|1.5|NULL|{}|[20,30]|unpriced")
	}
	e.want("toString(sum(list_cost)), toTypeName(sum(list_cost))", "gpumeter.cost", "2.469135778|Nullable(Decimal(38, 9))")
}

func TestNewestVersionWinsInAnyOrder(t *testing.T) {
	e := newEngine(t)
	e.store(e.DSN(), 5, origin+5, fact{gpu: "g", allocation: "new", state: active, finality: final, cost: 5})
	e.store(e.DSN(), 3, origin+3, fact{gpu: "g", allocation: "old", state: active, finality: final, cost: 3})
	e.store(e.DSN(), 5, origin+5, fact{gpu: "g", allocation: "new", state: active, finality: final, cost: 5})
	e.want(keyAndCost, "gpumeter.cost", "g|0|new|active|0.000000005|5")
	e.want(keyAndCost, "gpumeter.cost_history WHERE NOT retracted ORDER BY revision", "g|0|old|active|0.000000003|3", "g|0|new|active|0.000000005|5")
}

func TestCellThatBecameEmptyHasNoRow(t *testing.T) {
	e := newEngine(t)
	e.store(e.DSN(), 1, origin, fact{gpu: "g", allocation: "a", state: active, finality: final, cost: 1}, fact{gpu: "h", state: idle, finality: final, cost: 7})
	e.store(e.DSN(), 2, origin+1, fact{gpu: "f", state: idle, finality: final, cost: 6}, fact{gpu: "g", state: 0, finality: final, restated: 1},
		fact{gpu: "i", state: active, finality: final, cost: 8})
	e.want(keyAndCost, "gpumeter.cost ORDER BY gpu", "f|0||idle|0.000000006|2", "h|0||idle|0.000000007|1", "i|0||active|0.000000008|2")
	e.want("gpu, toString(revision), toString(retracted), toString(gpu_ms), toString(list_cost), toString(used_cost)",
		"gpumeter.cost_history WHERE gpu = 'g' ORDER BY revision", "g|1|0|60000|0.000000001|0", "g|2|1|0|0|0")
}

func TestRestatementKeepsTheFirstReport(t *testing.T) {
	e := newEngine(t)
	at := func(n int64) int64 { return origin + n*1000 }
	e.store(e.DSN(), 1, at(1), fact{gpu: "g", state: unknown, finality: schemas.FinalityEarly, cost: 1})
	e.store(e.DSN(), 2, at(2), fact{gpu: "g", state: unknown, finality: final, cost: 2}, fact{gpu: "other", state: active, finality: final, cost: 9})
	e.store(e.DSN(), 3, at(3), fact{gpu: "g", allocation: "a", state: active, finality: final, restated: 1, cost: 3, to: 30_000},
		fact{gpu: "g", state: unknown, finality: final, restated: 1, cost: 4, from: 30_000})
	const seconds = "toString(toUnixTimestamp64Milli(first_reported_at) - 1767571200000), toString(toUnixTimestamp64Milli(known_at) - 1767571200000)"
	e.want("gpu, toString(state), "+seconds, "gpumeter.cost ORDER BY gpu, window_start",
		"g|active|2000|3000", "g|unknown|2000|3000", "other|active|2000|2000")
	e.want("toString(state), toString(revision), toString(retracted), toString(list_cost), "+seconds,
		"gpumeter.cost_history WHERE gpu = 'g' ORDER BY revision, retracted, window_start",
		"unknown|2|0|0.000000002|2000|2000",
		"active|3|0|0.000000003|2000|3000", "unknown|3|0|0.000000004|2000|3000",
		"unknown|3|1|0|2000|3000")
	e.want("toString(count())", "gpumeter.cost_history WHERE finality = 'early'", "0")
}

func TestBothViewsHaveThePromisedColumns(t *testing.T) {
	e := newEngine(t)
	for _, v := range clickhouse.Views() {
		var want []string
		for _, c := range v.Columns {
			want = append(want, c.Name+"|"+c.Type+"|"+c.Doc)
		}
		got := e.text("SELECT concat(name, '|', type, '|', comment) FROM system.columns WHERE database = 'gpumeter' AND table = '" + v.Name + "' ORDER BY position")
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%s\ndeclared\n%s", v.Name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	for _, table := range clickhouse.Tables() {
		var want []string
		for _, c := range table.Columns {
			want = append(want, c.Name+"|"+c.Type+"|"+c.Doc)
		}
		got := e.text("SELECT concat(name, '|', type, '|', comment) FROM system.columns WHERE database = 'gpumeter' AND table = '" + table.Name + "' ORDER BY position")
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%s\ndeclared\n%s", table.Name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestMigrationsOfSeveralAtOnce(t *testing.T) {
	e := newEngine(t)
	if err := e.conn.Exec(t.Context(), "DROP DATABASE gpumeter SYNC"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	for range 4 {
		conn := connect(t, e.DSN())
		go func() {
			_, err := clickhouse.Migrate(t.Context(), conn)
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	e.want("toString(count())", "system.tables WHERE database = 'gpumeter'", fmt.Sprint(len(clickhouse.Tables())+len(clickhouse.Views())+1))
	e.want("toString(version), name", "gpumeter.migrations FINAL", "1|0001_ledger.sql")
}

func TestNewerDatabaseIsLeftAlone(t *testing.T) {
	e := newEngine(t)
	if err := e.conn.Exec(t.Context(), "INSERT INTO gpumeter.migrations (version, name) VALUES (99, 'of the future')"); err != nil {
		t.Fatal(err)
	}
	_, err := clickhouse.Migrate(t.Context(), e.conn)
	if !errors.Is(err, clickhouse.ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Errorf("migrated a newer database: %v", err)
	}
}

func TestAllocationsFoldEventsAndCosts(t *testing.T) {
	e := newEngine(t)
	for _, row := range []string{
		"('start', 'a', 3000, 'late start', true, map('k', '2'), '')",
		"('start', 'a', 1000, 'early start', true, map('k', '1'), '')",
		"('update', 'a', 5000, '', true, map('k', '3'), '')",
		"('end', 'a', 7000, '', false, map(), 'failed')",
		"('end', 'a', 9000, '', false, map(), 'completed')",
		"('end', 'a', 9000, '', false, map(), 'completed')", // again
		"('start', 'open', 2000, 'open', false, map(), '')",
		"('end', 'lost', 4000, '', false, map(), 'completed')",
	} {
		err := e.conn.Exec(t.Context(), "INSERT INTO gpumeter.allocations_log (event, allocation, ts, name, has_labels, labels, state, requested_gpus) SELECT t.1, t.2, fromUnixTimestamp64Milli(toInt64(t.3)), t.4, t.5, t.6, t.7, -1 FROM (SELECT "+row+" AS t)")
		if err != nil {
			t.Fatal(err)
		}
	}
	e.store(e.DSN(), 1, origin, fact{gpu: "g", allocation: "a", state: active, finality: final, cost: 100},
		fact{gpu: "g", window: 1, allocation: "a", state: idle, finality: final, cost: 11},
		fact{gpu: "g", window: 2, allocation: "open", state: active, finality: final, cost: 5},
		fact{gpu: "g", window: 3, allocation: "open", state: active, finality: final, cost: 6, currency: "EUR"},
		fact{gpu: "g", window: 4, state: unknown, finality: final, cost: 1000})
	e.want("allocation, name, state, toString(toUnixTimestamp64Milli(start)), toString(toUnixTimestamp64Milli(`end`)), toString(requested_gpus), toString(submitted_at), toString(labels)",
		"gpumeter.allocations ORDER BY allocation",
		"a|early start|completed|1000|9000|NULL|NULL|{'k':'3'}",
		"lost||completed|NULL|4000|NULL|NULL|{}",
		"open|open|running|2000|NULL|NULL|NULL|{}")
	e.want("allocation, toString(gpu_ms_active), toString(gpu_ms_idle), toString(gpu_ms_unknown), currency, toString(list_cost), toString(mapApply((k, v) -> (k, v.list_cost), cost_by_currency))",
		"gpumeter.allocations ORDER BY allocation",
		"a|60000|60000|0|USD|0.000000111|{'USD':0.000000111}",
		"lost|0|0|0||NULL|{}",
		"open|120000|0|0||NULL|{'EUR':0.000000006,'USD':0.000000005}")
}

package storage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/sink/columns"
	"github.com/gpumeter/gpumeter/sink/insert"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	if code, ran := runSink(); ran {
		os.Exit(code)
	}
	if at := os.Getenv(victimBrokers); at != "" {
		os.Exit(victim(at))
	}
	goleak.VerifyTestMain(m)
}

// An engine is an embedded ClickHouse with the ledger's schema, for one test.
type engine struct {
	*testing.T
	*chdb.Server
	dir  string
	conn driver.Conn
}

func newEngine(t *testing.T) *engine { return newEngineIn(t, t.TempDir()) }

func newEngineIn(t *testing.T, dir string) *engine {
	t.Helper()
	s, err := chdb.Start(t.Context(), chdb.Options{Dir: dir})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	e := &engine{T: t, Server: s, dir: dir, conn: connect(t, s.DSN())}
	if _, err := clickhouse.Migrate(t.Context(), e.conn); err != nil {
		t.Fatal(err)
	}
	return e
}

func connect(t *testing.T, dsn string) driver.Conn {
	t.Helper()
	conn, err := clickhouse.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// text runs a query of text columns; a row is its columns joined by a bar.
func (e *engine) text(query string) []string {
	e.Helper()
	rows, err := e.conn.Query(e.Context(), query)
	if err != nil {
		e.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			e.Fatalf("%s: %v", query, err)
		}
		out = append(out, line)
	}
	if err := rows.Err(); err != nil {
		e.Fatalf("%s: %v", query, err)
	}
	return out
}

// want compares the lines of a query, whose columns are joined by a bar.
func (e *engine) want(columns, from string, lines ...string) {
	e.Helper()
	query := fmt.Sprintf("SELECT arrayStringConcat(arrayMap(x -> ifNull(x, 'NULL'), [%s]), '|') AS line FROM %s", columns, from)
	got := e.text(query)
	if len(got) == len(lines) {
		same := true
		for i := range got {
			same = same && got[i] == lines[i]
		}
		if same {
			return
		}
	}
	e.Errorf("%s\n got %q\nwant %q", from, got, lines)
}

// store inserts one record's cells at a version, by the sink's own path.
func (e *engine) store(dsn string, version uint64, known int64, facts ...fact) {
	e.Helper()
	server, err := insert.New(dsn)
	if err != nil {
		e.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	cells := columns.NewCells()
	cells.Append(costs(facts...), version, known)
	if err := server.Insert(e.Context(), cells.Table, cells.Input()); err != nil {
		e.Fatal(err)
	}
}

// A fact is one row of a cell, with what the tests vary.
type fact struct {
	gpu        string
	window     int64 // minutes
	from, to   int64 // of the span, ms in the window; both 0: the whole window
	allocation string
	state      uint8 // 0: the cell is empty
	finality   uint8
	restated   uint8
	cost       int64 // nano
	unpriced   bool
	absent     bool // utilization and the like were not reported
	labels     string
	currency   string // USD when empty
}

const minute = 60_000

// origin is 2026-01-05 00:00 UTC, a Monday.
const origin = 1767571200000

func texts(c *schemas.Costs) []*schemas.Text {
	return []*schemas.Text{
		&c.Cluster, &c.Node, &c.Resource, &c.Provider, &c.Region, &c.SKU, &c.GPU, &c.Model, &c.Slice, &c.Allocation, &c.User, &c.Name,
		&c.Namespace, &c.Team, &c.Project, &c.CostCenter, &c.Environment, &c.AIModel, &c.ModelVersion, &c.Phase, &c.Labels, &c.Currency, &c.PriceID,
	}
}

func put(t *schemas.Text, s string) {
	t.Index[len(t.Index)-1] = uint32(len(t.Dict))
	t.Dict = append(t.Dict, s)
}

// costs makes a batch. Texts that a fact does not vary are empty.
func costs(facts ...fact) *schemas.Costs {
	c := &schemas.Costs{}
	for _, t := range texts(c) {
		t.Dict = []string{""}
	}
	for _, f := range facts {
		for _, t := range texts(c) {
			t.Index = append(t.Index, 0)
		}
		put(&c.Node, "node-1")
		put(&c.Resource, "resource-1")
		put(&c.GPU, f.gpu)
		put(&c.Allocation, f.allocation)
		put(&c.Labels, f.labels)
		currency := f.currency
		if currency == "" {
			currency = "USD"
		}
		put(&c.Currency, currency)
		appendNumbers(c, f)
	}
	return c
}

func appendNumbers(c *schemas.Costs, f fact) {
	window := origin + f.window*minute
	if f.to == 0 {
		f.to = minute
	}
	ppm, memory, energy := uint32(250_000), uint64(1<<30), uint64(1500)
	if f.absent {
		ppm, memory, energy = schemas.Absent32, schemas.Absent64, schemas.Absent64
	}
	price := schemas.Priced
	if f.unpriced {
		price = schemas.Unpriced
	}
	c.Window = append(c.Window, window)
	c.Finality = append(c.Finality, f.finality)
	c.Restated = append(c.Restated, f.restated)
	c.WindowStart = append(c.WindowStart, window+f.from)
	c.WindowEnd = append(c.WindowEnd, window+f.to)
	c.State = append(c.State, f.state)
	c.Attribution = append(c.Attribution, schemas.AttributionExclusive)
	c.GPUMs = append(c.GPUMs, f.to-f.from)
	c.UsedGPUMs = append(c.UsedGPUMs, (f.to-f.from)/4)
	c.Utilization = append(c.Utilization, ppm)
	c.SMActive = append(c.SMActive, ppm)
	c.MemoryMax = append(c.MemoryMax, memory)
	c.Energy = append(c.Energy, energy)
	c.ListCost = append(c.ListCost, f.cost)
	c.EffectiveCost = append(c.EffectiveCost, f.cost)
	c.UsedCost = append(c.UsedCost, f.cost/4)
	c.WasteCost = append(c.WasteCost, 0)
	c.PriceStatus = append(c.PriceStatus, price)
	c.PositionFrom = append(c.PositionFrom, 0)
	c.PositionTo = append(c.PositionTo, 1_000_000)
	c.Runs = append(c.Runs, uint32(f.from), uint32(f.to))
	c.RunsEnd = append(c.RunsEnd, uint32(len(c.Runs)))
}

package verify

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/deploy/replay"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// replayed is an embedded engine with the ledger of a generated input in it.
func replayed(t *testing.T, opt generate.Options) (driver.Conn, Options) {
	t.Helper()
	server, err := chdb.Start(t.Context(), chdb.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	dir := t.TempDir()
	if _, err := generate.Write(dir, opt); err != nil {
		t.Fatal(err)
	}
	cfg := replay.DefaultConfig()
	cfg.Stack.Data, cfg.Stack.ClickHouse = t.TempDir(), server.DSN()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := replay.Run(ctx, cfg, dir, replay.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn, Options{Input: dir, Oracle: oracle.Defaults(time.Now().UnixMilli())}
}

// victim is a row to be broken: the cell and the row's number in it.
type victim struct {
	resource, gpu string
	window        int64
	version       uint64 // of the cell
	row           uint64
	allocation    string
}

// arrays are the row columns of cells.
func arrays(t *testing.T, conn driver.Conn) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), "SELECT name FROM system.columns WHERE database = 'gpumeter' AND table = 'cells' AND startsWith(name, 'rows.')")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }() // read to its end
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	return names
}

// rewrite stores a newer revision of the victim's cell, in which each row column
// is what change makes of it.
func rewrite(t *testing.T, conn driver.Conn, v victim, change func(column string) string) {
	t.Helper()
	columns := arrays(t, conn)
	replaced := make([]string, 0, len(columns))
	for _, c := range columns {
		replaced = append(replaced, change("`"+c+"`")+" AS `"+c+"`")
	}
	sql := "INSERT INTO gpumeter.cells SELECT * REPLACE (version + 1 AS version, " + strings.Join(replaced, ", ") +
		") FROM gpumeter.cells FINAL WHERE resource = ? AND gpu = ? AND toUnixTimestamp64Milli(window) = ?"
	if err := conn.Exec(t.Context(), sql, v.resource, v.gpu, v.window); err != nil {
		t.Fatal(err)
	}
}

// restore takes the revisions that rewrite made away.
func restore(t *testing.T, conn driver.Conn, v victim) {
	t.Helper()
	sql := "ALTER TABLE gpumeter.cells DELETE WHERE resource = ? AND gpu = ? AND toUnixTimestamp64Milli(window) = ? AND version > ? SETTINGS mutations_sync = 1"
	if err := conn.Exec(t.Context(), sql, v.resource, v.gpu, v.window, v.version); err != nil {
		t.Fatal(err)
	}
}

func pickVictim(t *testing.T, conn driver.Conn) victim {
	t.Helper()
	var v victim
	err := conn.QueryRow(t.Context(), "SELECT resource, gpu, toUnixTimestamp64Milli(window), version, toUInt64(i), allocation FROM "+
		"(SELECT *, `rows.allocation`[i] AS allocation, arrayJoin(arrayEnumerate(`rows.state`)) AS i FROM gpumeter.cells FINAL) "+
		"WHERE `rows.price_status`[i] = 'priced' AND allocation != '' AND `rows.gpu_ms`[i] > 1000 ORDER BY window, resource, gpu LIMIT 1").
		Scan(&v.resource, &v.gpu, &v.window, &v.version, &v.row, &v.allocation)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func verdict(t *testing.T, conn driver.Conn, opt Options) Report {
	t.Helper()
	report, err := Ledger(t.Context(), conn, opt)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// TestAStoredLedger takes a generated input through the whole pipeline, then
// breaks one row of what is stored, in each of three ways.
func TestAStoredLedger(t *testing.T) {
	conn, opt := replayed(t, small(11))
	for _, o := range []Options{opt, {Oracle: opt.Oracle}} {
		if report := verdict(t, conn, o); !report.OK() || report.Rows == 0 {
			t.Fatalf("a ledger that nobody touched:\n%s", &report)
		}
	}
	v := pickVictim(t, conn)
	n := strconv.FormatUint(v.row, 10)
	for _, c := range []struct {
		what   string
		change func(column string) string
	}{
		{
			"deleted", func(c string) string {
				return "arrayConcat(arraySlice(" + c + ", 1, " + n + " - 1), arraySlice(" + c + ", " + n + " + 1))"
			},
		},
		{
			"doubled", func(c string) string { return "arrayPushBack(" + c + ", " + c + "[" + n + "])" },
		},
		{"changed by one nano-unit", func(c string) string {
			if c != "`rows.list_cost`" {
				return c
			}
			return "arrayMap((x, i) -> if(i = " + n + ", x + toDecimal64('0.000000001', 9), x), " + c + ", arrayEnumerate(" + c + "))"
		}},
	} {
		rewrite(t, conn, v, c.change)
		for _, o := range []Options{opt, {Oracle: opt.Oracle}} {
			report := verdict(t, conn, o)
			if report.OK() {
				t.Errorf("a row was %s and nothing is broken (input %q)", c.what, o.Input)
				continue
			}
			for _, part := range []string{"resource=" + v.resource, "gpu=" + v.gpu} {
				if !strings.Contains(report.First.Row, part) {
					t.Errorf("a row was %s; the report does not name it: %s", c.what, report.First)
				}
			}
			if o.Input != "" && !strings.Contains(report.String(), "allocation="+v.allocation) {
				t.Errorf("a row of %s was %s; the report does not say so:\n%s", v.allocation, c.what, &report)
			}
		}
		restore(t, conn, v)
		if report := verdict(t, conn, opt); !report.OK() {
			t.Fatalf("the row is whole again:\n%s", &report)
		}
	}
}

package pipeline

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/deploy/replay"
	"github.com/gpumeter/gpumeter/deploy/verify"
)

// TestVerifyNamesTheRow damages one row of a ledger: verify finds it, with and
// without the input, and names it.
func TestVerifyNamesTheRow(t *testing.T) {
	const first = "arrayMap((v, i) -> if(i = 1, %s, v), %[2]s, arrayEnumerate(%[2]s))"
	for name, change := range map[string]func(column string) string{
		"deleted": func(c string) string { return "arraySlice(" + c + ", 2)" },
		"doubled": func(c string) string { return "arrayPushFront(" + c + ", " + c + "[1])" },
		"a nano more": func(c string) string {
			if c != "`rows.list_cost`" {
				return c
			}
			return fmt.Sprintf(first, "v + toDecimal64('0.000000001', 9)", c)
		},
		"a nano less": func(c string) string {
			if c != "`rows.list_cost`" {
				return c
			}
			return fmt.Sprintf(first, "v - toDecimal64('0.000000001', 9)", c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := generated(t, 5)
			dsn, conn := engine(t)
			summary := replayed(t, dsn, t.TempDir(), dir)
			verified(t, conn, summary, dir, "")
			row := damage(t, conn, change)
			verified(t, conn, summary, dir, row)
			verified(t, conn, summary, "", row)
		})
	}
}

// verified runs verify and wants it to name the row, or to find nothing.
func verified(t *testing.T, conn driver.Conn, s *replay.Summary, input, row string) {
	t.Helper()
	horizon := int64(s.Horizon)
	opt := verify.Options{Input: input, Oracle: oracle.Defaults(horizon), Horizon: &horizon}
	report, err := verify.Ledger(t.Context(), conn, opt)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case row == "" && !report.OK():
		t.Fatalf("%s", &report)
	case row != "" && report.OK():
		t.Errorf("input %q: the damage at %s was not found", input, row)
	case row != "" && !strings.HasPrefix(report.First.Row, row):
		t.Errorf("input %q: named %s, want %s", input, report.First.Row, row)
	}
}

// damage writes a newer revision of a cell with several rows, each of its
// columns changed, and returns how a violation of its first row begins.
func damage(t *testing.T, conn driver.Conn, change func(column string) string) (row string) {
	t.Helper()
	names := rows(t, conn, "SELECT name FROM system.columns WHERE database = 'gpumeter' AND table = 'cells' AND startsWith(name, 'rows.') ORDER BY position")
	replaced := make([]string, 0, len(names))
	for _, name := range names {
		column := "`" + name + "`"
		replaced = append(replaced, change(column)+" AS "+column)
	}
	const cell = "`rows.gpu_ms`[1] > 0 AND `rows.price_status`[1] = 'priced' AND length(`rows.gpu_ms`) > 1"
	key := rows(t, conn, "SELECT concat('resource=', resource, ' gpu=', gpu, ' window=[', toString(toUnixTimestamp64Milli(`window`))) FROM gpumeter.cells FINAL WHERE "+cell+" ORDER BY ALL LIMIT 1")
	if len(key) != 1 {
		t.Fatal("the generated ledger has no cell of several rows")
	}
	row, _, _ = strings.Cut(key[0], " window=")
	insert := "INSERT INTO gpumeter.cells SELECT * REPLACE (version + 1 AS version, " + strings.Join(replaced, ", ") + ") FROM (SELECT * FROM gpumeter.cells FINAL WHERE " + cell +
		" AND concat('resource=', resource, ' gpu=', gpu, ' window=[', toString(toUnixTimestamp64Milli(`window`))) = '" + key[0] + "')"
	if err := conn.Exec(t.Context(), insert); err != nil {
		t.Fatalf("%v\n%s", err, insert)
	}
	return row
}

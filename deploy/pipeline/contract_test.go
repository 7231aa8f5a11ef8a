package pipeline

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/deploy/replay"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// expressions give the columns of expect.tsv and columns.tsv that are not in
// cost under their name: NULL as \N, instants in Unix ms, fractions in ppm, money
// in nano-units.
func expressions() map[string]string {
	text := func(e string) string { return `ifNull(toString(` + e + `), '\\N')` }
	return map[string]string{
		"window_start":          text("toUnixTimestamp64Milli(window_start)"),
		"window_end":            text("toUnixTimestamp64Milli(window_end)"),
		"utilization_ppm":       text("toInt64(round(utilization_avg * 1e6))"),
		"sm_active_ppm":         text("toInt64(round(sm_active_avg * 1e6))"),
		"memory_used_max_bytes": text("memory_used_max_bytes"),
		"energy_mj":             text("toInt64(round(energy_joules * 1000))"),
		"list_cost_nanos":       text("toInt64(list_cost::Nullable(Decimal(38, 9)) * 1000000000)"),
		"effective_cost_nanos":  text("toInt64(effective_cost::Nullable(Decimal(38, 9)) * 1000000000)"),
		"used_cost_nanos":       text("toInt64(used_cost::Nullable(Decimal(38, 9)) * 1000000000)"),
		"waste_cost_nanos":      text("toInt64(waste_cost::Nullable(Decimal(38, 9)) * 1000000000)"),
	}
}

// TestContractCases takes each case through the whole pipeline.
func TestContractCases(t *testing.T) {
	own, err := filepath.Glob("../../schemas/testdata/contract/*/expect.tsv")
	if err != nil || len(own) == 0 {
		t.Fatalf("no contract cases of the project's own: %v", err)
	}
	more, err := filepath.Glob(filepath.Join(sharedDir(t), "contract/*/expect.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, expect := range append(own, more...) {
		dir := filepath.Dir(expect)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			dsn, conn := engine(t)
			replayed(t, dsn, t.TempDir(), dir, func(c *replay.Config) {
				c.Until = until(t, dir)
				if text, err := os.ReadFile(filepath.Join(dir, "from")); err == nil {
					c.Rules.Ledger.From = instant(t, text)
				}
			})
			for _, name := range []string{"expect.tsv", "columns.tsv"} {
				header, want := table(t, filepath.Join(dir, name))
				if header == nil {
					continue
				}
				sql := "SELECT concatWithSeparator('\\t', " + strings.Join(columns(header), ", ") + ") AS row FROM gpumeter.cost ORDER BY row"
				slices.Sort(want)
				if got := rows(t, conn, sql); !slices.Equal(got, want) {
					t.Errorf("%s\ngot\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		})
	}
}

func columns(header []string) []string {
	known := expressions()
	list := make([]string, 0, len(header))
	for _, name := range header {
		e, ok := known[name]
		if !ok {
			e = "toString(`" + name + "`)"
		}
		list = append(list, e)
	}
	return list
}

// table reads a tab-separated file without the columns that cost does not show:
// positions are the engine's and the oracle's to compare.
func table(t *testing.T, path string) (header, rows []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	var keep []int
	for i, name := range strings.Split(lines[0], "\t") {
		if !strings.HasPrefix(name, "position_") {
			keep = append(keep, i)
			header = append(header, name)
		}
	}
	for _, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		var row []string
		for _, i := range keep {
			row = append(row, cells[i])
		}
		rows = append(rows, strings.Join(row, "\t"))
	}
	return header, rows
}

// until is the horizon that a case asks for, in its file until or in WHY.md; 0
// for none.
func until(t *testing.T, dir string) (at service.Instant) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "until"))
	if os.IsNotExist(err) {
		why, _ := os.ReadFile(filepath.Join(dir, "WHY.md"))
		match := regexp.MustCompile(`--until (\d+)`).FindSubmatch(why)
		if match == nil {
			return 0
		}
		text, err = match[1], nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return instant(t, text)
}

func instant(t *testing.T, text []byte) (at service.Instant) {
	t.Helper()
	if err := at.UnmarshalText([]byte(strings.TrimSpace(string(text)))); err != nil {
		t.Fatal(err)
	}
	return at
}

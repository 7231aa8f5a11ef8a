package oracle_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// now is the time of every run here: 2026-06-30, some weeks after the cases.
const now = 1_782_777_600_000

// cases lists the contract cases: the project's own and, where the checkout has
// it beside itself or in GPUMETER_SHARED, the shared ones.
func cases(t *testing.T) []string {
	t.Helper()
	own, err := filepath.Glob("../../schemas/testdata/contract/*/expect.tsv")
	if err != nil || len(own) == 0 {
		t.Fatalf("no contract cases of the project's own: %v", err)
	}
	shared := os.Getenv("GPUMETER_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	more, err := filepath.Glob(filepath.Join(shared, "contract/*/expect.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	if len(more) == 0 {
		t.Logf("no shared contract cases: set GPUMETER_SHARED to the directory that holds contract/")
	}
	return append(own, more...)
}

// until is the horizon that a case asks for, in its file until or in WHY.md.
func until(t *testing.T, dir string) *int64 {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "until"))
	if err != nil {
		why, err := os.ReadFile(filepath.Join(dir, "WHY.md"))
		if err != nil {
			t.Fatal(err)
		}
		match := regexp.MustCompile(`--until (\d+)`).FindSubmatch(why)
		if match == nil {
			return nil
		}
		text = match[1]
	}
	ms := instant(t, text)
	return &ms
}

func instant(t *testing.T, text []byte) int64 {
	t.Helper()
	ms, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

func TestContractCases(t *testing.T) {
	for _, expect := range cases(t) {
		dir := filepath.Dir(expect)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			opt := oracle.Defaults(now)
			opt.Until = until(t, dir)
			if text, err := os.ReadFile(filepath.Join(dir, "from")); err == nil {
				opt.From = instant(t, text)
			}
			ledger, err := oracle.Recompute(dir, opt)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, ledger, expect)
			if more := filepath.Join(dir, "columns.tsv"); exists(more) {
				compare(t, ledger, more)
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// compare holds the rows of a ledger to a table, in the table's columns.
func compare(t *testing.T, ledger *oracle.Ledger, table string) {
	t.Helper()
	header, want := readTable(t, table)
	var got []string
	for row := range ledger.Rows() {
		got = append(got, line(t, &row, header))
	}
	for _, l := range want {
		if !slices.Contains(got, l) {
			t.Errorf("%s: missing    %s", filepath.Base(table), l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			t.Errorf("%s: unexpected %s", filepath.Base(table), l)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d rows, want %d", filepath.Base(table), len(got), len(want))
	}
}

// readTable gives the columns and the rows of a tab-separated file.
func readTable(t *testing.T, path string) (header, rows []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nothing was written
	s := bufio.NewScanner(f)
	for s.Scan() {
		if header == nil {
			header = strings.Split(s.Text(), "\t")
		} else if s.Text() != "" {
			rows = append(rows, s.Text())
		}
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return header, rows
}

// line writes the columns of a row as expect.tsv does.
func line(t *testing.T, r *oracle.Row, columns []string) string {
	t.Helper()
	cells := make([]string, 0, len(columns))
	for _, c := range columns {
		cells = append(cells, cell(t, r, c))
	}
	return strings.Join(cells, "\t")
}

func cell(t *testing.T, r *oracle.Row, column string) string {
	t.Helper()
	reported := func(v int64) string {
		if v == oracle.Absent {
			return `\N`
		}
		return strconv.FormatInt(v, 10)
	}
	money := func(v int64) string {
		if !r.Priced {
			return `\N`
		}
		return strconv.FormatInt(v, 10)
	}
	values := map[string]string{
		"window_start": fmt.Sprint(r.WindowStart), "window_end": fmt.Sprint(r.WindowEnd),
		"resource": r.Resource, "gpu": r.GPU, "slice": r.Slice, "allocation": r.Allocation, "state": r.State.String(),
		"cluster": r.Cluster, "node": r.Node, "provider": r.Provider, "region": r.Region, "sku": r.SKU, "gpu_model": r.GPUModel,
		"user": r.User, "name": r.Name, "namespace": r.Namespace,
		"team": r.Team, "project": r.Project, "cost_center": r.CostCenter, "environment": r.Environment,
		"model": r.Model, "model_version": r.ModelVersion, "phase": r.Phase, "attribution": r.Attribution,
		"gpu_ms": fmt.Sprint(r.GPUMs), "used_gpu_ms": fmt.Sprint(r.UsedGPUMs),
		"utilization_ppm": reported(r.Utilization), "sm_active_ppm": reported(r.SMActive),
		"memory_used_max_bytes": reported(r.MemoryMax), "energy_mj": reported(r.Energy),
		"currency": r.Currency, "price_id": r.PriceID,
		"list_cost_nanos": money(r.ListCost), "effective_cost_nanos": money(r.EffectiveCost),
		"used_cost_nanos": money(r.UsedCost), "waste_cost_nanos": money(r.WasteCost),
		"position_from": fmt.Sprint(r.PositionFrom), "position_to": fmt.Sprint(r.PositionTo),
	}
	value, ok := values[column]
	if !ok {
		t.Fatalf("expect.tsv has a column that no row has: %q", column)
	}
	return value
}

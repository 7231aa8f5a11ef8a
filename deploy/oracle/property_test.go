package oracle_test

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// draw writes a small input directory; rapid prints what it drew and shrinks it.
func draw(t *rapid.T, dir string) {
	opt := generate.Defaults()
	opt.Seed = rapid.Uint64Range(1, 1<<20).Draw(t, "seed")
	opt.Nodes = rapid.IntRange(1, 2).Draw(t, "nodes")
	opt.GPUsPerNode = rapid.IntRange(1, 3).Draw(t, "gpus per node")
	opt.Interval = rapid.SampledFrom([]int64{10_000, 60_000, 7_001}).Draw(t, "interval")
	opt.Duration = rapid.Int64Range(1, 25).Draw(t, "minutes") * 60_000
	opt.Features = generate.Features(rapid.Uint32Range(0, uint32(generate.All)).Draw(t, "features"))
	if _, err := generate.Write(dir, opt); err != nil {
		t.Fatal(err)
	}
}

func rowsOf(t *rapid.T, dir string, opt oracle.Options) []oracle.Row {
	ledger, err := oracle.Recompute(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(ledger.Rows())
}

// scratch is a new directory for one run of a property.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir := scratch(t)
		draw(r, filepath.Join(dir, "as written"))
		want := rowsOf(r, filepath.Join(dir, "as written"), oracle.Defaults(now))
		shuffled, repeated := filepath.Join(dir, "shuffled"), filepath.Join(dir, "repeated")
		if err := generate.Shuffle(filepath.Join(dir, "as written"), shuffled, 7); err != nil {
			r.Fatal(err)
		}
		if err := generate.Repeat(shuffled, repeated, 5, 8); err != nil {
			r.Fatal(err)
		}
		if got := rowsOf(r, repeated, oracle.Defaults(now)); !reflect.DeepEqual(got, want) {
			r.Fatalf("%d rows of the shuffled and repeated input differ from %d rows", len(got), len(want))
		}
	})
}

// Conservation is said of rule 8's sums, so it holds however the rows were cut.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir := scratch(t)
		draw(r, dir)
		ledger, err := oracle.Recompute(dir, oracle.Defaults(now))
		if err != nil {
			r.Fatal(err)
		}
		type key struct {
			resource, currency string
			hour               int64
		}
		type sum struct{ ms, nanos int64 }
		left := map[key]sum{}
		for _, stay := range ledger.Stays() {
			for _, p := range ledger.Parts(stay) {
				k := key{stay.Resource, p.Currency, p.From / 3_600_000}
				left[k] = sum{left[k].ms + (p.To-p.From)*int64(len(stay.GPUs)), left[k].nanos + p.Whole}
			}
		}
		var before *oracle.Row
		for row := range ledger.Rows() {
			if before != nil && before.Compare(&row) >= 0 {
				r.Fatalf("out of order or twice: %+v", row)
			}
			before = &row
			k := key{row.Resource, row.Currency, row.WindowStart / 3_600_000}
			left[k] = sum{left[k].ms - row.GPUMs, left[k].nanos - row.ListCost}
		}
		for k, s := range left {
			if s != (sum{}) {
				r.Fatalf("%+v: %d ms and %d nano-units are left", k, s.ms, s.nanos)
			}
		}
	})
}

// A ledger depends on the events before its horizon only.
func TestWhatTheHorizonHasNotPassedDoesNotExist(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir := scratch(t)
		draw(r, dir)
		whole, err := oracle.Recompute(dir, oracle.Defaults(now))
		if err != nil {
			r.Fatal(err)
		}
		opt := oracle.Defaults(now)
		until := whole.Horizon
		opt.Until = &until
		if !reflect.DeepEqual(rowsOf(r, dir, opt), slices.Collect(whole.Rows())) {
			r.Fatal("the largest event time, given as the horizon, changes rows")
		}
		until = rapid.Int64Range(whole.Horizon-6_000_000, whole.Horizon).Draw(r, "until")
		for _, row := range rowsOf(r, dir, opt) {
			if row.WindowEnd > until {
				r.Fatalf("ends behind the horizon %d: %+v", until, row)
			}
		}
	})
}

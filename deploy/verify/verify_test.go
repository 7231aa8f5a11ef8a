package verify

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/deploy/oracle"
)

func run(t *testing.T, m *memory, opt Options) Report {
	t.Helper()
	report, err := Run(t.Context(), m, opt)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// small is an input of some hundred rows with everything in it.
func small(seed uint64) generate.Options {
	opt := generate.Defaults()
	opt.Seed, opt.Duration, opt.Nodes = seed, 20*60_000, 2
	return opt
}

// blind is opt without the input: what can be known from the ledger alone.
func blind(opt Options) Options {
	opt.Input = ""
	return opt
}

func TestNothingIsBrokenInAWholeLedger(t *testing.T) {
	for seed := range uint64(30) {
		m, opt := world(t, small(seed))
		for _, o := range []Options{opt, blind(opt)} {
			report := run(t, m, o)
			if !report.OK() || report.First != nil {
				t.Fatalf("seed %d:\n%s", seed, &report)
			}
			if len(m.rows) == 0 || report.Rows != int64(len(m.rows)) {
				t.Fatalf("seed %d: %d rows read of %d", seed, report.Rows, len(m.rows))
			}
			for _, c := range report.Checks {
				if c.Compared == 0 {
					t.Fatalf("seed %d: the check %s compared nothing", seed, c.Name)
				}
			}
		}
	}
}

// broken runs with m changed and demands that the first violation names row.
func broken(t *testing.T, m *memory, opt Options, row *oracle.Row, what string) Violation {
	t.Helper()
	report := run(t, m, opt)
	if report.OK() {
		t.Fatalf("%s of %s was not found", what, keyOf(row))
	}
	first := *report.First
	for _, part := range []string{"resource=" + row.Resource, "gpu=" + row.GPU} {
		if !strings.Contains(first.Row, part) {
			t.Fatalf("%s of %s: the report names %s", what, keyOf(row), first)
		}
	}
	if first.Expected == first.Found {
		t.Fatalf("%s of %s: expected and found are the same: %s", what, keyOf(row), first)
	}
	return first
}

func TestEveryRowIsMissed(t *testing.T) {
	m, opt := world(t, small(3))
	rows := m.rows
	for i := 0; i < len(rows); i += 7 {
		m.rows = slices.Concat(rows[:i], rows[i+1:])
		if v := broken(t, m, opt, &rows[i], "the deletion"); v.Row != keyOf(&rows[i]) && v.Check == "oracle" {
			t.Fatalf("the deletion of %s is called %s", keyOf(&rows[i]), v)
		}
		if rows[i].PositionFrom < rows[i].PositionTo {
			broken(t, m, blind(opt), &rows[i], "the deletion, without the input,")
		}
	}
}

func TestEveryRowIsOnce(t *testing.T) {
	m, opt := world(t, small(4))
	rows := m.rows
	for i := 0; i < len(rows); i += 7 {
		m.rows = slices.Concat(rows[:i+1], rows[i:])
		for _, o := range []Options{opt, blind(opt)} {
			if v := broken(t, m, o, &rows[i], "the doubling"); v.Row != keyOf(&rows[i]) {
				t.Fatalf("the doubling of %s is called %s", keyOf(&rows[i]), v)
			}
		}
	}
}

func TestEveryNanoCounts(t *testing.T) {
	m, opt := world(t, small(5))
	rows := m.rows
	for i := 0; i < len(rows); i += 7 {
		if !rows[i].Priced {
			continue
		}
		for _, column := range []string{"ListCost", "EffectiveCost", "WasteCost", "GPUMs"} {
			m.rows = slices.Clone(rows)
			f := reflect.ValueOf(&m.rows[i]).Elem().FieldByName(column)
			f.SetInt(f.Int() + 1)
			for _, o := range []Options{opt, blind(opt)} {
				if v := broken(t, m, o, &rows[i], "a change of "+column); v.Row != keyOf(&rows[i]) {
					t.Fatalf("the change of %s of %s is called %s", column, keyOf(&rows[i]), v)
				}
			}
		}
	}
}

// Every column is compared: none can be changed unseen.
func TestEveryColumnCounts(t *testing.T) {
	m, opt := world(t, small(6))
	rows := m.rows
	i := slices.IndexFunc(rows, func(r oracle.Row) bool { return r.Priced && r.Allocation != "" && r.State == oracle.Active })
	fields := reflect.TypeFor[oracle.Row]()
	for k := range fields.NumField() {
		m.rows = slices.Clone(rows)
		change(t, reflect.ValueOf(&m.rows[i]).Elem().Field(k))
		report := run(t, m, opt)
		if report.OK() {
			t.Errorf("a change of %s was not found", fields.Field(k).Name)
		}
		if c := report.Checks[len(report.Checks)-1]; c.Name != "oracle" || c.Violations == 0 {
			t.Errorf("a change of %s is not seen beside the oracle's row", fields.Field(k).Name)
		}
	}
}

// change makes a value another one.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8:
		v.SetUint(v.Uint() + 1)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Slice:
		v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 1, 1), v))
	default:
		t.Fatalf("no way to change a %s", v.Kind())
	}
}

func TestColumnsAreCalledAsInCost(t *testing.T) {
	for field, want := range map[string]string{
		"WindowStart": "window_start", "GPU": "gpu", "SKU": "sku", "GPUModel": "gpu_model", "CostCenter": "cost_center", "ListCost": "list_cost",
		"PriceID": "price_id", "PositionFrom": "position_from", "GPUMs": "gpu_ms", "Energy": "energy_joules", "ModelVersion": "model_version",
	} {
		if got := column(field); got != want {
			t.Errorf("%s is %s, want %s", field, got, want)
		}
	}
}

func TestAnErrorOfReadingIsNoVerdict(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	m, opt := world(t, small(7))
	m.err = errors.New("connection lost")
	if _, err := Run(t.Context(), m, opt); !errors.Is(err, m.err) {
		t.Errorf("got %v", err)
	}
	opt.Input += "/nowhere"
	if _, err := Run(t.Context(), m, opt); err == nil || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("got %v", err)
	}
}

func TestTheReportNamesTheFirstBrokenRow(t *testing.T) {
	m, opt := world(t, small(8))
	m.rows[len(m.rows)/2].ListCost++
	report := run(t, m, opt)
	text := report.String()
	for _, want := range []string{"BROKEN", "list_cost", keyOf(&m.rows[len(m.rows)/2]), "conservation", "oracle"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestLoads(t *testing.T) {
	for _, c := range []struct{ whole, used, lo, hi int64 }{
		{1000, 500, 500_000, 500_999},
		{1_000_000, 123_456, 123_456, 123_456},
		{0, 0, 0, million},
		{-1, -1, 1, million},
		{-1, 0, 0, 0},
		{-10, -3, 200_001, 300_000},
		{10, 11, million + 1, million},
		{3_000_000_000, 1, 1, 0}, // between two loads
	} {
		if lo, hi := loads(0, million, c.whole, c.used); lo != c.lo || hi != c.hi {
			t.Errorf("%d of %d: loads %d to %d, want %d to %d", c.used, c.whole, lo, hi, c.lo, c.hi)
		}
	}
}

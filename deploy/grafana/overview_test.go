package grafana

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/example"
)

// whole is the night with everything picked.
func whole() scope {
	return scope{from: example.Begin(), to: example.End(), interval: 15 * time.Minute, picked: map[string][]string{"currency": {"USD"}}}
}

// some is whole with one team of one cluster.
func some() scope {
	s := whole()
	s.picked = map[string][]string{"currency": {"USD"}, "cluster": {"jura"}, "team": {"vision"}}
	return s
}

// panels are all of them, by title.
func panels() map[string]Panel {
	all := map[string]Panel{}
	for _, row := range Overview() {
		for _, p := range row.Panels {
			all[p.Title] = p
		}
	}
	return all
}

// A result is what a query gave, for Grafana's eyes.
type result struct {
	columns []Column
	rows    [][]string // NULL as "NULL", floats with six digits
}

func ask(t *testing.T, s scope, sql string) result {
	t.Helper()
	expanded, err := s.expand(sql)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := ledger(t).Query(t.Context(), expanded)
	if err != nil {
		t.Fatalf("%v\n%s", err, expanded)
	}
	defer func() { _ = rows.Close() }()
	var all result
	for i, name := range rows.Columns() {
		all.columns = append(all.columns, Column{Name: name, Type: typeOf(t, rows.ColumnTypes()[i])})
	}
	for rows.Next() {
		values := make([]any, len(all.columns))
		for i, kind := range rows.ColumnTypes() {
			values[i] = reflect.New(kind.ScanType()).Interface()
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = show(reflect.ValueOf(v).Elem())
		}
		all.rows = append(all.rows, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%v\n%s", err, expanded)
	}
	return all
}

func show(v reflect.Value) string {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "NULL"
		}
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case time.Time:
		return value.UTC().Format("15:04")
	case float64:
		return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.6f", value), "0"), ".")
	default:
		return fmt.Sprint(value)
	}
}

// typeOf is what the plugin makes of a column.
func typeOf(t *testing.T, c driver.ColumnType) Type {
	t.Helper()
	name := c.DatabaseTypeName()
	for _, wrapper := range []string{"Nullable", "LowCardinality"} {
		if inner, ok := strings.CutPrefix(name, wrapper+"("); ok {
			name = strings.TrimSuffix(inner, ")")
		}
	}
	switch {
	case strings.HasPrefix(name, "DateTime"):
		return Time
	case name == "String" || strings.HasPrefix(name, "Enum"):
		return Text
	case regexp.MustCompile(`^(U?Int|Float|Decimal)`).MatchString(name):
		return Number
	}
	t.Errorf("column %s has type %s, of which no panel makes anything", c.Name(), name)
	return Text
}

// named is a panel's columns without what only concerns their drawing.
func named(columns []Column) []Column {
	plain := slices.Clone(columns)
	for i := range plain {
		plain[i].Unit = ""
	}
	return plain
}

// Every panel's query runs whatever is picked, and returns what its panel draws.
func TestPanelsReturnWhatTheyDraw(t *testing.T) {
	empty := whole()
	empty.from, empty.to = empty.from.AddDate(-1, 0, 0), empty.to.AddDate(-1, 0, 0)
	fine := whole()
	fine.interval = time.Minute
	arrivals := whole()
	arrivals.to = time.Now().Add(time.Minute)
	for title, p := range panels() {
		t.Run(title, func(t *testing.T) {
			for _, s := range []scope{whole(), some(), fine, empty} {
				if got := ask(t, s, p.SQL); !slices.Equal(got.columns, named(p.Columns)) {
					t.Errorf("the query returns %v, the panel draws %v", got.columns, named(p.Columns))
				}
			}
			s := whole()
			if p.Title == deadLetters().Title {
				s = arrivals
			}
			if len(ask(t, s, p.SQL).rows) == 0 {
				t.Error("the night has no row for it")
			}
		})
	}
}

// The panels say of the night what it was written to hold.
func TestPanelsOfTheNight(t *testing.T) {
	for _, test := range []struct {
		panel Panel
		scope scope
		want  []string
	}{
		// Two h100x4 at 10.80, an a100x4 at 4.80, an l40sx2 at 1.20; the notebook and two pods of half a GPU.
		{moneyNow(), whole(), []string{"27.6 2.4 1.2"}},
		{moneyNow(), some(), []string{"1.2 1.2 1.2"}},
		{gpusNow(), whole(), []string{"14 1 1"}},
		{findingsNow(), whole(), []string{"1 7.4 1.2"}},
		{funnel(), whole(), []string{"1 reserved 104 225.6 100", "2 allocated 60.5 136.8 58.173077", "3 active 47.7 116.94 45.865385", "4 used 22.738 61.8486 21.863462"}},
		{costByTeam(), whole(), []string{"research 111.6", "(none) 90", "vision 14.4", "serving 9.6"}},
		{teams(), some(), []string{"vision 2 12 14.4 1.08 11.28 78.333333"}},
		{idleNow(), whole(), []string{"k8s/jura/notebook-grace grace vision 1 7.4 1.2 alert close the kernel, or save it and free the GPU"}},
		{freshness(), whole(), []string{"0"}},
		{unknown(), whole(), []string{"12.85 0.114732"}},
		{unpriced(), whole(), []string{"8 0.071429"}},
	} {
		got := ask(t, test.scope, test.panel.SQL)
		rows := make([]string, len(got.rows))
		for i := range got.rows {
			rows[i] = strings.Join(got.rows[i], " ")
		}
		if !slices.Equal(rows, test.want) {
			t.Errorf("%s\n got %q\nwant %q", test.panel.Title, rows, test.want)
		}
	}
}

// Points add up to the GPUs that there are, and to what an hour of them costs,
// also at the ends of the range.
func TestBandsAddUp(t *testing.T) {
	s := whole()
	s.from, s.to, s.interval = s.from.Add(7*time.Minute), s.to.Add(20*time.Minute), 30*time.Minute
	for _, test := range []struct {
		panel Panel
		at    map[string]string // by time of the point
	}{
		{statesOverTime(), map[string]string{"20:00": "14", "23:00": "14", "03:30": "14"}},
		{moneyOverTime(), map[string]string{"20:00": "28.8", "23:30": "28.8", "00:00": "27.6", "03:30": "27.6"}},
	} {
		sums := map[string]float64{}
		for _, row := range ask(t, s, test.panel.SQL).rows {
			var v float64
			if _, err := fmt.Sscan(row[2], &v); err != nil {
				continue // no money is known of this state
			}
			sums[row[0]] += v
		}
		if len(sums) != 16 {
			t.Errorf("%s: %d points of half an hour in eight hours", test.panel.Title, len(sums))
		}
		for at, want := range test.at {
			if got := fmt.Sprintf("%.4g", sums[at]); got != want {
				t.Errorf("%s: %s at %s, want %s", test.panel.Title, got, at, want)
			}
		}
	}
}

// Whatever reads facts prunes their partitions, and none mixes currencies.
func TestPanelsKeepTheHabits(t *testing.T) {
	facts := regexp.MustCompile(`FROM gpumeter\.cost\b`)
	bounded := regexp.MustCompile(`(\$__timeFilter\(window\)|window >= since AND window <= latest)`)
	for title, p := range panels() {
		if facts.MatchString(p.SQL) && len(bounded.FindAllString(p.SQL, -1)) < len(facts.FindAllString(p.SQL, -1)) {
			t.Errorf("%s: a read of cost is not bounded by window", title)
		}
		if regexp.MustCompile(`_cost\b`).MatchString(p.SQL) && !strings.Contains(p.SQL, "${currency}") {
			t.Errorf("%s: shows money of any currency", title)
		}
		if strings.Contains(p.SQL, "${currency}") != strings.Contains(title, "${currency}") {
			t.Errorf("%s: the title does not name the currency", title)
		}
		if p.Says == "" {
			t.Errorf("%s: does not say what to read off it", title)
		}
	}
}

// Variables are filled in a form that Grafana takes: one column of texts.
func TestVariablesHaveValues(t *testing.T) {
	for name, want := range map[string]string{"currency": "USD", "cluster": "alps jura", "team": "(none) research serving vision"} {
		for _, v := range variables() {
			if v.name != name {
				continue
			}
			got := ask(t, whole(), v.sql)
			var values []string
			for _, row := range got.rows {
				values = append(values, row[0])
			}
			if len(got.columns) != 1 || got.columns[0].Type != Text || strings.Join(values, " ") != want {
				t.Errorf("%s: %v %q, want %q", name, got.columns, values, want)
			}
		}
	}
}

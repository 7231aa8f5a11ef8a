package clickhouse

import (
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// A View is what people query.
type View struct {
	Name    string
	Doc     string
	Columns []Column
	Query   string
}

// Views lists every view, in an order in which they can be made.
func Views() []View {
	return []View{
		costView(), costHistoryView(), allocationsView(),
		logView(schemas.StreamSamples), logView(schemas.StreamProcesses), logView(schemas.StreamResources),
		logView(schemas.StreamPrices), logView(schemas.StreamTags), deadLettersView(),
		findingsHistoryView(), findingsView(),
	}
}

// logView is the view over a log table: its columns in units of people, with
// NULL where nothing was reported.
func logView(stream string) View {
	t := FindTable(LogTable(stream))
	v := View{Name: stream, Doc: streamOf(stream).Doc}
	var selected []string
	for _, c := range t.Columns {
		if c.Name == "digest" {
			continue
		}
		out, expression := readable(c)
		v.Columns = append(v.Columns, out)
		selected = append(selected, expression+" AS "+quote(out.Name))
	}
	v.Query = "SELECT\n    " + strings.Join(selected, ",\n    ") + "\nFROM " + Database + "." + t.Name + " FINAL"
	return v
}

// A reading turns a column of the wire into one for people. %s stands for the
// column.
type reading struct {
	name, kind, expression string
}

// readings by column name, for the columns whose value on the wire is not what
// a person wants to see.
func readings() map[string]reading {
	const (
		fraction = "if(%s = 4294967295, NULL, %s / 1000000)"
		milli32  = "if(%s = 4294967295, NULL, %s / 1000)"
		absent64 = "nullIf(%s, 18446744073709551615)"
		zero     = "if(toUnixTimestamp64Milli(%s) = 0, NULL, %s)"
		float    = "Nullable(Float64)"
		instant  = "Nullable(" + typeInstant + ")"
	)
	return map[string]reading{
		"interval":              {"interval_seconds", "Float64", "if(%s = 0, 10, %s / 1000)"},
		"utilization":           {"utilization", float, fraction},
		"sm_active":             {"sm_active", float, fraction},
		"tensor_active":         {"tensor_active", float, fraction},
		"dram_active":           {"dram_active", float, fraction},
		"sm_utilization":        {"sm_utilization", float, fraction},
		"utilization_avg":       {"utilization_avg", float, fraction},
		"sm_active_avg":         {"sm_active_avg", float, fraction},
		"power":                 {"power_watts", float, milli32},
		"idle_watts":            {"idle_watts", float, milli32},
		"memory_used_bytes":     {"memory_used_bytes", "Nullable(UInt64)", absent64},
		"memory_total_bytes":    {"memory_total_bytes", "Nullable(UInt64)", "nullIf(nullIf(%s, 18446744073709551615), 0)"},
		"memory_used_max_bytes": {"memory_used_max_bytes", "Nullable(UInt64)", absent64},
		"energy_joules":         {"energy_joules", "Nullable(UInt64)", absent64},
		"temperature_celsius":   {"temperature_celsius", "Nullable(Int16)", "nullIf(%s, -32768)"},
		"price_per_hour":        {"price_per_hour", typeMoney, "%s"},
		"to":                    {"to", instant, zero},
		"effective_to":          {"effective_to", instant, zero},
		"known_at":              {"known_at", instant, zero},
		"submitted_at":          {"submitted_at", instant, zero},
		"threshold_at":          {"threshold_at", instant, zero},
		"resolved_at":           {"resolved_at", instant, zero},
		"burnt_cost":            {"burnt_cost", "Nullable(" + typeMoney + ")", "if(currency = '', NULL, %s)"},
		"cost_per_hour":         {"cost_per_hour", "Nullable(" + typeMoney + ")", "if(currency = '', NULL, %s)"},
	}
}

// readable is the column for people and the expression that makes it.
func readable(c Column) (Column, string) {
	r, ok := readings()[c.Name]
	if !ok {
		return Column{Name: c.Name, Type: c.Type, Doc: c.Doc}, quote(c.Name)
	}
	return r.column(c), r.of(quote(c.Name))
}

// column is the declared column c as it is read.
func (r reading) column(c Column) Column {
	return Column{Name: r.name, Type: r.kind, Doc: r.doc(c.Doc)}
}

// doc replaces the wire's unit by the reading's.
func (r reading) doc(doc string) string {
	doc, _, _ = strings.Cut(doc, "; 0 =")
	doc, _, _ = strings.Cut(doc, ", 0 =")
	doc, _, _ = strings.Cut(doc, ", 4294967295 =")
	doc = strings.Replace(doc, " in nano-units of the currency [nano]", " [currency]", 1)
	doc = strings.Replace(doc, " [nano]", " [currency]", 1)
	switch {
	case strings.Contains(r.expression, "/ 1000000"):
		return strings.Replace(doc, "[ppm]", "[fraction 0 to 1]", 1)
	case strings.Contains(r.expression, "/ 1000"):
		return strings.NewReplacer(" [mW]", "", " [ms]", "").Replace(doc) + unitOf(r.name)
	}
	return doc
}

func unitOf(name string) string {
	if strings.HasSuffix(name, "_watts") {
		return " [W]"
	}
	return " [s]"
}

func (r reading) of(column string) string { return strings.ReplaceAll(r.expression, "%s", column) }

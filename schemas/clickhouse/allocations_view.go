package clickhouse

import (
	"fmt"
	"strings"
)

// The states in the order of their enum.
func states() []string {
	return []string{"active", "idle_held", "idle", "unallocated", "unavailable", "unknown"}
}

// allocationsView has one row per allocation: the events folded as the rules
// read them, and the sums of its cost facts.
func allocationsView() View {
	events := allocationEvents()
	costs := allocationCosts()
	var columns []Column
	var selected []string
	for _, c := range append(append([]costColumn{}, events...), costs...) {
		columns = append(columns, c.Column)
		source := "e."
		if len(selected) >= len(events) {
			source = "f."
		}
		selected = append(selected, source+quote(c.Name)+" AS "+quote(c.Name))
	}
	query := "SELECT\n    " + strings.Join(selected, ",\n    ") + "\nFROM\n(\n" +
		selectList(events) + "\nFROM gpumeter.allocations_log AS a FINAL\nGROUP BY a.allocation\n) AS e\nLEFT JOIN\n(\n" +
		selectList(append([]costColumn{{Column{Name: "allocation"}, "s.allocation"}}, costs...)) +
		"\nFROM\n(\n" + costByCurrency() + "\n) AS s\nGROUP BY s.allocation\n) AS f ON f.allocation = e.allocation"
	return View{
		Name: "allocations", Columns: columns, Query: query,
		Doc: "One row per allocation: who, what, when, how its GPU time was spent and what it cost.",
	}
}

// allocationEvents folds the events. What an allocation is comes from its
// earliest start; labels from the latest event that names them.
func allocationEvents() []costColumn {
	fact := byName(FindTable(LogTable("allocations")).Columns)
	first := func(name string) costColumn {
		return costColumn{fact[name], fmt.Sprintf("argMinIf(a.%s, a.ts, a.event = 'start')", quote(name))}
	}
	instant := "Nullable(" + typeInstant + ")"
	return []costColumn{
		{fact["allocation"], "a.allocation"},
		first("user"), first("name"), first("namespace"), first("image"), first("command"),
		{fact["labels"], "argMaxIf(a.labels, (a.ts, a.event = 'update'), a.has_labels)"},
		{Column{Name: "requested_gpus", Type: "Nullable(Int64)", Doc: "GPUs asked for"}, "nullIf(argMinIfOrNull(a.requested_gpus, a.ts, a.event = 'start'), -1)"},
		{Column{Name: "requested_walltime_seconds", Type: "Nullable(Int64)", Doc: "time asked for [s]"}, "nullIf(argMinIfOrNull(a.requested_walltime_seconds, a.ts, a.event = 'start'), -1)"},
		{Column{Name: "submitted_at", Type: instant, Doc: "when it was queued"}, orNull("argMinIf(a.submitted_at, a.ts, a.event = 'start')")},
		{Column{Name: "start", Type: instant, Doc: "earliest start; NULL when only its end is known"}, "minIfOrNull(a.ts, a.event = 'start')"},
		{Column{Name: "end", Type: instant, Doc: "latest end; NULL while it runs"}, "maxIfOrNull(a.ts, a.event = 'end')"},
		{Column{Name: "state", Type: "String", Doc: "completed, failed or cancelled; running while it has no end"}, "if(countIf(a.event = 'end') = 0, 'running', argMaxIf(a.state, a.ts, a.event = 'end'))"},
	}
}

func orNull(instant string) string {
	return fmt.Sprintf("if(toUnixTimestamp64Milli(%[1]s) = 0, NULL, %[1]s)", instant)
}

// costByCurrency sums the facts of each allocation in each currency.
func costByCurrency() string {
	var sums []string
	for _, s := range states() {
		sums = append(sums, fmt.Sprintf("sumIf(c.gpu_ms, c.state = '%[1]s') AS gpu_ms_%[1]s", s))
	}
	sums = append(sums, "sumIf(c.gpu_ms, c.price_status = 'unpriced') AS unpriced_gpu_ms", "sum(c.used_gpu_ms) AS used_gpu_ms")
	for _, m := range moneyColumns() {
		sums = append(sums, fmt.Sprintf("sum(c.%[1]s) AS %[1]s", m))
	}
	return "SELECT c.allocation AS allocation, c.currency AS currency,\n    " + strings.Join(sums, ",\n    ") +
		"\nFROM gpumeter.cost AS c\nWHERE c.allocation != ''\nGROUP BY c.allocation, c.currency"
}

func moneyColumns() []string {
	return []string{"list_cost", "effective_cost", "used_cost", "waste_cost"}
}

// allocationCosts sums over currencies. Money of different currencies does not
// add up: with several, the costs are NULL and the map has each.
func allocationCosts() []costColumn {
	const several = "uniqExactIf(s.currency, s.currency != '') > 1"
	var out []costColumn
	for _, s := range states() {
		name := "gpu_ms_" + s
		out = append(out, costColumn{Column{Name: name, Type: "Int64", Doc: "GPU-milliseconds in state " + s}, "sum(s." + name + ")"})
	}
	out = append(out,
		costColumn{Column{Name: "used_gpu_ms", Type: "Int64", Doc: "GPU-milliseconds weighted by load"}, "sum(s.used_gpu_ms)"},
		costColumn{Column{Name: "unpriced_gpu_ms", Type: "Int64", Doc: "GPU-milliseconds without a price; no cost includes them"}, "sum(s.unpriced_gpu_ms)"},
		costColumn{
			Column{Name: "currency", Type: "String", Doc: "currency of the costs; empty when there is none, or several: then the costs are NULL and cost_by_currency has them"},
			"if(" + several + ", '', max(toString(s.currency)))",
		},
	)
	for _, m := range moneyColumns() {
		out = append(out, costColumn{
			Column{Name: m, Type: "Nullable(Decimal(38, 9))", Doc: "sum of " + m + " over its facts; NULL when none is priced"},
			fmt.Sprintf("if(%s, NULL, sum(s.%s))", several, m),
		})
	}
	return append(out, costColumn{
		Column{Name: "cost_by_currency", Type: typeCosts, Doc: "sums of list_cost, effective_cost, used_cost and waste_cost by currency"},
		"mapFromArrays(groupArrayIf(toString(s.currency), s.currency != ''), groupArrayIf((ifNull(s.list_cost, 0), ifNull(s.effective_cost, 0), ifNull(s.used_cost, 0), ifNull(s.waste_cost, 0))::" + typeFourCosts + ", s.currency != ''))",
	})
}

const (
	typeFourCosts = "Tuple(list_cost Decimal(38, 9), effective_cost Decimal(38, 9), used_cost Decimal(38, 9), waste_cost Decimal(38, 9))"
	typeCosts     = "Map(String, " + typeFourCosts + ")"
)

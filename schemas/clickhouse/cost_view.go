package clickhouse

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// costColumns is the order of the columns of cost and cost_history.
func costColumns() []string {
	return []string{
		"cluster", "window_start", "window_end", "node", "resource", "provider", "region", "sku", "gpu", "slice", "gpu_model",
		"allocation", "user", "name", "namespace", "team", "project", "cost_center", "environment", "model", "model_version", "phase", "labels",
		"state", "attribution", "gpu_ms", "used_gpu_ms", "utilization_avg", "sm_active_avg", "memory_used_max_bytes", "energy_joules",
		"currency", "list_cost", "effective_cost", "used_cost", "waste_cost", "price_id", "price_status",
		"finality", "revision", "first_reported_at", "known_at",
	}
}

// repriceColumns follow: what re-prices a row to the nano without samples.
// window is there too since runs count from it, and because a filter on it
// reads only the parts and granules that it names.
func repriceColumns() []string { return []string{"position_from", "position_to", "runs", "window"} }

// measures are zero in a retracted row: it says that this much is no longer
// there.
func measures() []string {
	return []string{"gpu_ms", "used_gpu_ms", "list_cost", "effective_cost", "used_cost", "waste_cost"}
}

// A costColumn is a column of the cost views and how it is made of a cell,
// whose current row is number i.
type costColumn struct {
	Column
	expression string
}

// costExpressions makes the columns that both cost views share.
func costExpressions(names []string) []costColumn {
	facts := byName(declared(reflect.TypeFor[schemas.Costs]()))
	cells := byName(Cells().Columns)
	var out []costColumn
	for _, name := range names {
		fact := facts[name]
		fact.Name = name
		c := costColumn{fact, "c." + quote(name)}
		if _, ofCell := cells[name]; !ofCell {
			c.expression = element(name)
		}
		out = append(out, c.readable())
	}
	return out
}

// byName indexes columns.
func byName(columns []Column) map[string]Column {
	out := map[string]Column{}
	for _, c := range columns {
		out[c.Name] = c
	}
	return out
}

func element(name string) string { return "c." + quote(RowPrefix+name) + "[i]" }

// readable turns the wire's value into the one that people see.
func (c costColumn) readable() costColumn {
	priced := element("price_status") + " = 'priced'"
	switch c.Name {
	case "revision":
		c.Type, c.Doc = "UInt64", "version of the cell that says this; a greater one is newer"
		c.expression = "c.version"
	case "known_at":
		c.Type, c.Doc = typeInstant, "when this revision became known: the broker's append time"
	case "first_reported_at":
		c.Type, c.Doc = typeInstant, "when the first final revision of this cell became known"
		c.expression = "if(c.restated = 1 AND first.known_at > toDateTime64(0, 3, 'UTC'), first.known_at, c.known_at)"
	case "labels":
		c.Type, c.Doc = typeLabels, "labels of the allocation"
		c.expression = "JSONExtract(" + c.expression + ", '" + typeLabels + "')"
	case "energy_joules":
		c.Type, c.Doc = "Nullable(Float64)", strings.Replace(c.Doc, "[mJ]", "[J]", 1)
		c.expression = fmt.Sprintf("if(%[1]s = 18446744073709551615, NULL, %[1]s / 1000)", c.expression)
	case "list_cost", "effective_cost", "used_cost", "waste_cost":
		c.Type, c.Doc = "Nullable("+typeMoney+")", strings.Replace(c.Doc, "[nano]", "[currency]; NULL when unpriced", 1)
		c.expression = fmt.Sprintf("if(%s, %s, NULL)", priced, c.expression)
	case "state", "attribution", "price_status", "finality":
		c.Doc, _, _ = strings.Cut(enumDoc(c.Name), ":")
	default:
		if r, ok := readings()[c.Name]; ok {
			c.Column, c.expression = r.column(c.Column), r.of(c.expression)
		}
	}
	return c
}

// enumDoc says what an enum is; its values are in its type.
func enumDoc(name string) string {
	return map[string]string{
		"state":        "what the GPU did for this holder",
		"attribution":  "how the row got its part of the device",
		"price_status": "whether a price is known",
		"finality":     "early: the window is open; final: it is closed; billed: a bill is in",
	}[name]
}

// firstReports finds when a restated cell was first reported. Only cells that
// say that they are restated look there: the others carry the key 0, and the
// history is read for the hours of restated cells only. A collision of the
// 64-bit key would show another cell's instant, once in ten million billion.
const firstReports = `LEFT ANY JOIN
(
    SELECT cityHash64(resource, node, gpu, ` + "`window`" + `) AS key, min(known_at) AS known_at
    FROM gpumeter.cells_history
    WHERE (toStartOfHour(` + "`window`" + `), resource) IN (SELECT toStartOfHour(` + "`window`" + `), resource FROM gpumeter.%s WHERE restated = 1)
    GROUP BY key
) AS first ON first.key = c.key`

// keyed is a table with the key that firstReports is joined by.
const keyed = "(SELECT *, if(restated = 1, cityHash64(resource, node, gpu, `window`), 0) AS key FROM gpumeter.%s FINAL) AS c"

// eachRow unfolds a cell. It joins the rows' numbers, not their columns:
// ClickHouse reads every column that an ARRAY JOIN names, used or not.
const eachRow = "ARRAY JOIN arrayEnumerate(c.`rows.state`) AS i"

func costView() View {
	columns := costExpressions(append(costColumns(), repriceColumns()...))
	query := selectList(columns) + "\nFROM " + fmt.Sprintf(keyed, TableCells) + "\n" +
		fmt.Sprintf(firstReports, TableCells) + "\n" + eachRow
	return View{
		Name: "cost", Doc: "Cost facts, the newest revision of each. Filter on window to read less.",
		Columns: columnsOf(columns), Query: query,
	}
}

// costHistoryView has every revision of a cell and, at the revision that no
// longer has a row, that row once more, retracted.
func costHistoryView() View {
	shared := costExpressions(append(costColumns(), repriceColumns()...))
	retracted := Column{Name: "retracted", Type: "UInt8", Doc: "1: this revision no longer has the row of this key; its measures are zero"}
	at := slices.IndexFunc(shared, func(c costColumn) bool { return c.Name == "position_from" })
	said := slices.Insert(slices.Clone(shared), at, costColumn{retracted, "0"})
	gone := slices.Insert(goneColumns(shared), at, costColumn{retracted, "1"})
	query := selectList(said) + "\nFROM " + fmt.Sprintf(keyed, TableHistory) + "\n" +
		fmt.Sprintf(firstReports, TableHistory) + "\n" + eachRow +
		"\nUNION ALL\n" + selectList(gone) + "\nFROM " + succeeded() + "\n" + eachRow +
		"\nWHERE c.next_version != 0 AND NOT has(c.next_keys, " + rowKey("c.", "[i]") + ")"
	return View{
		Name: "cost_history", Doc: "Cost facts, every revision that was not early, with what a revision retracted.",
		Columns: columnsOf(said), Query: query,
	}
}

// succeeded is the history with what the next revision of each cell says.
// Cells that were never restated have no next one and are left out.
func succeeded() string {
	return `(
    SELECT *,
        leadInFrame(version) OVER revisions AS next_version,
        leadInFrame(known_at) OVER revisions AS next_known_at,
        leadInFrame(finality) OVER revisions AS next_finality,
        leadInFrame(` + rowKeys() + `) OVER revisions AS next_keys,
        min(known_at) OVER revisions AS first_known_at
    FROM gpumeter.cells_history FINAL
    WHERE (toStartOfHour(` + "`window`" + `), resource, node, gpu, ` + "`window`" + `) IN
        (SELECT toStartOfHour(` + "`window`" + `), resource, node, gpu, ` + "`window`" + ` FROM gpumeter.cells_history WHERE restated = 1)
    WINDOW revisions AS (PARTITION BY resource, node, gpu, ` + "`window`" + ` ORDER BY version ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
) AS c`
}

// A row of a cell is known by its span, holder and state.
func rowKeys() string {
	return "arrayMap((a, b, s, h, t) -> cityHash64(a, b, s, h, t), " + rowKeyList("", "") + ")"
}

func rowKey(table, index string) string { return "cityHash64(" + rowKeyList(table, index) + ")" }

func rowKeyList(table, index string) string {
	var parts []string
	for _, name := range []string{"window_start", "window_end", "slice", "allocation", "state"} {
		parts = append(parts, table+quote(RowPrefix+name)+index)
	}
	return strings.Join(parts, ", ")
}

// goneColumns are the columns of a row that the next revision does not have.
func goneColumns(shared []costColumn) []costColumn {
	gone := slices.Clone(shared)
	for i, c := range gone {
		switch {
		case c.Name == "revision":
			gone[i].expression = "c.next_version"
		case c.Name == "known_at" || c.Name == "finality":
			gone[i].expression = "c.next_" + c.Name
		case c.Name == "first_reported_at":
			gone[i].expression = "c.first_known_at"
		case slices.Contains(measures(), c.Name):
			gone[i].expression = fmt.Sprintf("CAST(0, '%s')", c.Type)
		}
	}
	return gone
}

func selectList(columns []costColumn) string {
	lines := make([]string, len(columns))
	for i, c := range columns {
		lines[i] = "    " + c.expression + " AS " + quote(c.Name)
	}
	return "SELECT\n" + strings.Join(lines, ",\n")
}

func columnsOf(columns []costColumn) []Column {
	out := make([]Column, len(columns))
	for i, c := range columns {
		out[i] = c.Column
	}
	return out
}

package clickhouse

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/gpumeter/gpumeter/schemas"
)

// Types that several tables share.
const (
	typeInstant = "DateTime64(3, 'UTC')"
	typeMoney   = "Decimal(18, 9)" // an Int64 of nano-units underneath
	typeText    = "LowCardinality(String)"
	typeLabels  = "Map(String, String)"
	typeGPUs    = "Array(Tuple(node String, gpu String, slice String, share Int32))"

	typeState       = "Enum8('active' = 1, 'idle_held' = 2, 'idle' = 3, 'unallocated' = 4, 'unavailable' = 5, 'unknown' = 6)"
	typeAttribution = "Enum8('none' = 0, 'exclusive' = 1, 'given' = 2, 'equal' = 3, 'slice' = 4)"
	typePriceStatus = "Enum8('unpriced' = 0, 'priced' = 1)"
	typeFinality    = "Enum8('early' = 0, 'final' = 1, 'billed' = 2)"
)

// A Column of a table or view.
type Column struct {
	Name  string
	Type  string // ClickHouse type
	Extra string // DEFAULT or MATERIALIZED clause, empty for none
	Doc   string // its comment
}

// declared lists the columns that struct type t declares.
func declared(t reflect.Type) []Column {
	var out []Column
	for f := range t.Fields() {
		name := f.Tag.Get("col")
		if name == "" {
			continue
		}
		doc := f.Tag.Get("doc")
		if unit := f.Tag.Get("unit"); unit != "" {
			doc += " [" + unit + "]"
		}
		out = append(out, Column{Name: name, Type: columnType(f, name), Doc: doc})
	}
	return out
}

// columnType is the ClickHouse type of a declared field. Enums and instants are
// integers on the wire and known by their names.
func columnType(f reflect.StructField, name string) string {
	switch name {
	case "state":
		if f.Type == reflect.TypeFor[[]uint8]() {
			return typeState
		}
	case "attribution":
		return typeAttribution
	case "price_status":
		return typePriceStatus
	case "finality":
		return typeFinality
	case "runs":
		return "Array(UInt32)"
	case "payload":
		return "String" // to reflection, bytes are a column of UInt8
	}
	if f.Tag.Get("unit") == "nano" {
		return typeMoney
	}
	if isInstant(name) {
		return typeInstant
	}
	return goType(f.Type)
}

func isInstant(name string) bool {
	return slices.Contains([]string{
		"ts", "window", "window_start", "window_end", "from", "to", "effective_from", "effective_to", "known_at", "submitted_at",
		"opened_at", "threshold_at", "updated_at", "resolved_at",
	}, name)
}

// goType is the ClickHouse type of a Go type, of its elements for the columns
// of the hot streams.
func goType(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[schemas.Text]():
		return typeText
	case reflect.TypeFor[[]schemas.GPURef]():
		return typeGPUs
	case reflect.TypeFor[[]schemas.Label]():
		return typeLabels
	case reflect.TypeFor[[]string]():
		return "Array(String)"
	case reflect.TypeFor[string]():
		return "String"
	}
	if t.Kind() == reflect.Slice {
		return goType(t.Elem())
	}
	scalar, ok := map[reflect.Kind]string{
		reflect.Bool: "Bool", reflect.Uint8: "UInt8", reflect.Uint16: "UInt16", reflect.Int16: "Int16",
		reflect.Int32: "Int32", reflect.Uint32: "UInt32", reflect.Int64: "Int64", reflect.Uint64: "UInt64",
	}[t.Kind()]
	if !ok {
		panic(fmt.Sprintf("no ClickHouse type for Go type %s: a declaration needs one here", t))
	}
	return scalar
}

// with replaces the types of named columns.
func with(columns []Column, types map[string]string) []Column {
	for i, c := range columns {
		if t, ok := types[c.Name]; ok {
			columns[i].Type = t
		}
	}
	return columns
}

// split tells the columns of a cell from those of its rows.
func split(costs reflect.Type) (cell, row []Column) {
	of := map[string]bool{}
	for f := range costs.Fields() {
		of[f.Tag.Get("col")] = f.Tag.Get("of") == "cell"
	}
	for _, c := range declared(costs) {
		if of[c.Name] {
			cell = append(cell, c)
		} else {
			row = append(row, c)
		}
	}
	return cell, row
}

// names lists the columns' names.
func names(columns []Column) []string {
	var out []string
	for _, c := range columns {
		out = append(out, c.Name)
	}
	return out
}

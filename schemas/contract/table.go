package contract

import (
	"bytes"
	"encoding/csv"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Table is the header of a CSV file: it knows in which column each field is.
// Columns are found by name, in any order; a row is one line.
type Table struct {
	stream  string
	columns map[string]int
	width   int
	unknown []string
	row     []string
}

var errNotTabular = errors.New("only prices and tags are tables")

// fields lists the columns of a CSV stream; true = required.
func fields(stream string) (map[string]bool, error) {
	switch stream {
	case schemas.StreamPrices:
		return map[string]bool{
			"provider": true, "region": true, "sku": true, "pricing_category": true, "currency": true,
			"price_per_hour": true, "effective_from": true, "effective_to": false, "known_at": false,
		}, nil
	case schemas.StreamTags:
		return map[string]bool{"match": true, "set": true, "effective_from": true, "effective_to": false, "priority": false}, nil
	}
	return nil, errNotTabular
}

// NewTable reads the header line of the file of a stream, prices or tags.
func NewTable(stream string, header []byte) (*Table, error) {
	known, err := fields(stream)
	if err != nil {
		return nil, err
	}
	names, refused := splitRow(nil, header)
	if refused != nil {
		return nil, refused
	}
	t := &Table{stream: stream, columns: map[string]int{}, width: len(names)}
	for i, name := range names {
		name = strings.TrimSpace(name)
		if _, twice := t.columns[name]; twice {
			return nil, refuse(schemas.ReasonBadRow, name, "the header has this column twice")
		}
		if _, ok := known[name]; !ok {
			t.unknown = append(t.unknown, name)
		}
		t.columns[name] = i
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if _, ok := t.columns[name]; known[name] && !ok {
			return nil, refuse(schemas.ReasonBadRow, name, "the header lacks this column: the first line must name the columns")
		}
	}
	return t, nil
}

// Unknown lists the columns that are ignored because the contract has none of
// that name.
func (t *Table) Unknown() []string { return t.unknown }

// split reads one line into t.row.
func (t *Table) split(line []byte) (err *Error) {
	if t.row, err = splitRow(t.row[:0], line); err != nil {
		return err
	}
	if len(t.row) != t.width {
		return refuse(schemas.ReasonBadRow, "", "%d columns, the header has %d: put texts with commas in quotes", len(t.row), t.width)
	}
	return nil
}

func splitRow(row []string, line []byte) ([]string, *Error) {
	if !utf8.Valid(line) {
		return row, refuse(schemas.ReasonBadRow, "", "not UTF-8: save the file as UTF-8")
	}
	r := csv.NewReader(bytes.NewReader(line))
	r.FieldsPerRecord = -1
	got, err := r.Read()
	if err != nil {
		var why *csv.ParseError
		if errors.As(err, &why) {
			err = why.Err
		}
		return row, refuse(schemas.ReasonBadRow, "", "%v: put texts with commas or quotes in quotes, quotes inside doubled", err)
	}
	return append(row, got...), nil
}

// cell is the value of a column in the row, empty when there is no such column.
func (t *Table) cell(name string) string {
	if i, ok := t.columns[name]; ok {
		return t.row[i]
	}
	return ""
}

// time reads an instant; empty is missing.
func (t *Table) time(name string, to *int64) *Error {
	text := []byte(strings.TrimSpace(t.cell(name)))
	*to = missing
	if len(text) == 0 {
		return nil
	}
	var err *Error
	if end, ok := numberEnd(text); ok && end == len(text) {
		*to, err = parseMillis(name, text)
	} else {
		*to, err = parseRFC3339(name, text)
	}
	return err
}

// number reads a decimal scaled by 10^scale; absent when empty.
func (t *Table) number(name string, scale int) (d decimal, text []byte, err *Error) {
	text = []byte(strings.TrimSpace(t.cell(name)))
	if len(text) == 0 {
		return decimal{}, nil, nil
	}
	d, ok := parseDecimal(text, scale)
	if !ok {
		return d, text, badNumber(name, "%q is not a decimal number as in 16.80", show(text))
	}
	return d, text, nil
}

// instants reads the three times that rows of both tables may have.
func (t *Table) instants(from, to, known *int64) *Error {
	for _, c := range []struct {
		name string
		to   *int64
	}{{"effective_from", from}, {"effective_to", to}, {"known_at", known}} {
		if err := t.time(c.name, c.to); err != nil {
			return err
		}
	}
	if err := required("effective_from", *from); err != nil {
		return err
	}
	if err := after1970("effective_to", to); err != nil {
		return err
	}
	return after1970("known_at", known)
}

// maxPrice is the greatest price of an hour in nano-units: what Decimal(18, 9) holds.
const maxPrice = 999_999_999_999_999_999

// Price reads one line of prices.csv.
func (t *Table) Price(line []byte, r *schemas.Price) error {
	if t.stream != schemas.StreamPrices {
		return errors.New("this table holds " + t.stream)
	}
	return asError(t.price(line, r))
}

func (t *Table) price(line []byte, r *schemas.Price) *Error {
	*r = schemas.Price{}
	if err := t.split(line); err != nil {
		return err
	}
	r.Provider, r.Region, r.SKU = t.cell("provider"), t.cell("region"), t.cell("sku")
	r.PricingCategory, r.Currency = t.cell("pricing_category"), t.cell("currency")
	if err := checkCategory(r.PricingCategory); err != nil {
		return err
	}
	if err := required("", 0, "provider", r.Provider, "currency", r.Currency); err != nil {
		return err
	}
	d, text, err := t.number("price_per_hour", 9)
	if err != nil {
		return err
	}
	if text == nil {
		return badNumber("price_per_hour", "is empty: a price that is not known is no row")
	}
	if r.PerHour, err = d.amount("price_per_hour", text, maxPrice); err != nil {
		return err
	}
	return t.instants(&r.From, &r.To, &r.KnownAt)
}

// Tag reads one line of tags.csv.
func (t *Table) Tag(line []byte, r *schemas.Tag) error {
	if t.stream != schemas.StreamTags {
		return errors.New("this table holds " + t.stream)
	}
	return asError(t.tag(line, r))
}

func (t *Table) tag(line []byte, r *schemas.Tag) *Error {
	*r = schemas.Tag{}
	if err := t.split(line); err != nil {
		return err
	}
	r.Match, r.Set = t.cell("match"), t.cell("set")
	if err := checkTag(r); err != nil {
		return err
	}
	d, text, err := t.number("priority", 0)
	if err != nil {
		return err
	}
	var ok bool
	if r.Priority, ok = d.floor(); !ok || d.rest != restNone {
		return badNumber("priority", "%s is not a whole number", show(text))
	}
	var none int64
	return t.instants(&r.From, &r.To, &none)
}

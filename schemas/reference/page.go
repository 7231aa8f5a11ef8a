package reference

import (
	"embed"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

//go:embed text
var texts embed.FS

// A page is Markdown as it grows, and the first error.
type page struct {
	strings.Builder
	err error
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// text adds a file of text/.
func (p *page) text(name string) {
	b, err := texts.ReadFile("text/" + name)
	if p.err == nil {
		p.err = err
	}
	p.Write(b)
}

// python adds a file of text/ as a block of code behind before.
func (p *page) python(before, name string) {
	p.printf("```python\n%s", before)
	p.text(name)
	p.printf("```\n\n")
}

// Page is docs/schemas.md; dir is the folder of package schemas.
func Page(dir string) (string, error) {
	p := &page{}
	p.printf("# Streams, columns, wire and views\n\nGenerated from the declarations in schemas/*.go by `make generate`; do not edit.\n\n")
	p.printf("Instants are Unix milliseconds UTC (`ms`), shares millionths (`ppm`), power milliwatts (`mW`), money nano-units of a currency (`nano`). Missing is never zero: a column marked nullable is null where nothing was reported; an unsigned one that is not has the greatest value of its type there, unless its meaning says otherwise.\n\n")
	p.overview()
	for _, s := range schemas.Streams() {
		p.stream(s)
	}
	p.wire()
	p.reasons(dir)
	p.text("formulas.md")
	p.views()
	return strings.TrimRight(p.String(), "\n") + "\n", p.err
}

func (p *page) overview() {
	p.printf("## Topics\n\n| topic | record key | partitions | retention | what it is |\n|---|---|---|---|---|\n")
	for _, s := range schemas.Streams() {
		p.printf("| [`%s`](#%s) | %s | %s | %s | %s |\n", s.Topic(), strings.ReplaceAll(s.Topic(), ".", ""), s.Key, partitions(s), retention(s.Retention), s.Doc)
	}
	p.printf("\nPartitioned topics share one number of partitions (`partitions`, default 8), fixed for life; keys are hashed with murmur2, as Kafka's Java clients do. No topic is compacted. Record timestamps are the broker's append time.\n\n")
}

func partitions(s schemas.Stream) string {
	if s.Partitioned {
		return "by key"
	}
	return "one"
}

func retention(d time.Duration) string {
	if d == 0 {
		return "for ever"
	}
	if days := int(d.Hours()) / 24; days != 1 {
		return fmt.Sprintf("%d days", days)
	}
	return "1 day"
}

func (p *page) stream(s schemas.Stream) {
	p.printf("## %s\n\n%s", s.Topic(), s.Doc)
	switch row := s.Row.(type) {
	case schemas.Samples:
		p.printf(" Two tables in one record ([the wire](#the-wire-of-samples)): the series, which a row refers to by index,\n\n")
		series, rows := wire.Packed()
		p.packed(series, reflect.TypeFor[schemas.Series]())
		p.printf("and the rows:\n\n")
		p.packed(rows, reflect.TypeOf(row))
	default:
		if s.Name == schemas.StreamCost {
			p.printf(" Consecutive rows of one node, resource, GPU and window are a cell: the whole of what is known of that GPU in that window. A newer cell replaces the older one row and all; state 0 marks an empty cell.")
		}
		p.printf("\n\n")
		p.columns(s)
	}
}

// packed lists the columns of a message of samples.
func (p *page) packed(columns []wire.PackedColumn, t reflect.Type) {
	p.printf("| column | on the wire | unit | written in | nullable | meaning |\n|---|---|---|---|---|---|\n")
	for _, c := range columns {
		f := field(t, c.Name)
		kind, units, nullable := "unsigned integer", "", "yes"
		if c.Differences {
			kind += ", differences"
		}
		if c.Units == nil {
			kind, nullable = "utf8", ""
		}
		if c.Name == "gpu" {
			kind += " or 16 bytes"
		}
		if c.Name == "series" || c.Name == "ts" || c.Name == "interval" {
			nullable = ""
		}
		if len(c.Units) > 0 && c.Units[len(c.Units)-1] != 1 {
			units = strings.Trim(fmt.Sprint(c.Units), "[]")
		}
		p.printf("| `%s` | %s | %s | %s | %s | %s |\n", c.Name, kind, f.Tag.Get("unit"), units, nullable, f.Tag.Get("doc"))
	}
	p.printf("\n")
}

// columns lists the columns of a stream that carries its Arrow schema.
func (p *page) columns(s schemas.Stream) {
	schema, err := wire.Schema(s)
	if err != nil {
		p.err = err
		return
	}
	p.printf("| column | Arrow type | unit | nullable | meaning |\n|---|---|---|---|---|\n")
	for _, f := range schema.Fields() {
		declared, nullable := field(reflect.TypeOf(s.Row), f.Name), ""
		if f.Nullable {
			nullable = "yes"
		}
		p.printf("| `%s` | %s | %s | %s | %s |\n", f.Name, arrowText(f.Type.String()), declared.Tag.Get("unit"), nullable, declared.Tag.Get("doc"))
	}
	p.printf("\n")
}

// arrowText shortens what Arrow calls a type.
func arrowText(t string) string {
	return strings.NewReplacer("item: ", "", ", nullable", "", "dictionary<values=utf8, indices=uint32, ordered=false>", "dictionary of utf8").Replace(t)
}

// field finds the declaration of a column.
func field(t reflect.Type, name string) reflect.StructField {
	for f := range t.Fields() {
		if f.Tag.Get("col") == name {
			return f
		}
	}
	panic("no declaration of column " + name + " in " + t.Name()) // the wire has what is declared: a test makes the page
}

func (p *page) wire() {
	p.printf("## The wire of samples\n\n")
	p.text("samples.md")
	p.printf("\nWith a record's `value` and `headers` (a dict) in hand and nothing but pyarrow, these are the columns, ten lines that read a message, and how to use them:\n\n")
	series, rows := wire.Packed()
	p.python(pythonColumns("SERIES", series)+pythonColumns("SAMPLES", rows), "samples.py")
	p.printf("## The wire of the other streams\n\nThe value is a self-contained Arrow IPC stream, in a zstd frame for `%s%s`. Headers are `schema`, `rows` and `crc32c` as above. A reader finds columns by name: one that an older writer did not have is empty, one that only a newer one has is skipped, integers may be wider.\n\n", schemas.Prefix, schemas.StreamCost)
	p.printf("Cost facts:\n\n")
	p.python("", "cost.py")
	p.printf("Everything else:\n\n")
	p.python("", "stream.py")
}

// pythonColumns is a list of names and units in Python.
func pythonColumns(name string, columns []wire.PackedColumn) string {
	items := make([]string, 0, len(columns))
	for _, c := range columns {
		units := strings.ReplaceAll(strings.Trim(fmt.Sprint(c.Units), "[]"), " ", ", ")
		items = append(items, fmt.Sprintf("(%q, (%s))", c.Name, units))
	}
	return fmt.Sprintf("%s = [%s]\n", name, strings.Join(items, ", "))
}

func (p *page) reasons(dir string) {
	all, err := reasons(dir)
	if err != nil {
		p.err = err
		return
	}
	p.printf("## Reasons of dead letters\n\n| reason | the record | what is wrong |\n|---|---|---|\n")
	for _, r := range all {
		fate := "is refused: it does not exist for the ledger"
		if r.kept {
			fate = "is kept, and counts as soon as what it lacks comes"
		}
		p.printf("| `%s` | %s | %s |\n", r.name, fate, r.doc)
	}
	p.printf("\n")
}

func (p *page) views() {
	p.printf("\n## Views in ClickHouse\n\nWhat people query, in database `%s`.\n\n", clickhouse.Database)
	for _, v := range clickhouse.Views() {
		p.printf("### %s\n\n%s\n\n| column | type | meaning |\n|---|---|---|\n", v.Name, v.Doc)
		for _, c := range v.Columns {
			p.printf("| `%s` | %s | %s |\n", c.Name, c.Type, c.Doc)
		}
		p.printf("\n")
	}
}

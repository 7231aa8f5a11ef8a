package columns

import (
	"reflect"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// Events builds blocks of a low-rate stream's table, row by row.
type Events[T wire.Row] struct {
	Block
	fields     []eventColumn
	appendedAt proto.ColInt64
}

// An eventColumn appends one field of a row.
type eventColumn struct {
	field  int
	append func(v reflect.Value)
}

// NewEvents makes an empty builder for the table of a stream.
func NewEvents[T wire.Row](stream string) *Events[T] {
	table := clickhouse.FindTable(clickhouse.LogTable(stream))
	e := &Events[T]{Block: newBlock(table)}
	row := reflect.TypeFor[T]()
	for i := range row.NumField() {
		name := row.Field(i).Tag.Get("col")
		data, appendValue := newEventColumn(row.Field(i).Type, table.Column(name).Type)
		e.fields = append(e.fields, eventColumn{i, appendValue})
		e.add(name, data)
		e.reset = append(e.reset, data.(proto.Resettable).Reset)
	}
	e.add("appended_at", typed{&e.appendedAt, proto.ColumnType(table.Column("appended_at").Type)})
	e.reset = append(e.reset, e.appendedAt.Reset)
	return e
}

// Append adds the rows of one record, which was appended at appendedAt.
func (e *Events[T]) Append(rows []T, appendedAt int64) {
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		for _, f := range e.fields {
			f.append(row.Field(f.field))
		}
		e.appendedAt = append(e.appendedAt, appendedAt)
	}
}

// resettable integers under another type.
type typedColumn struct {
	proto.Column
	kind proto.ColumnType
}

func (t typedColumn) Type() proto.ColumnType { return t.kind }

// newEventColumn makes a column of fields of type t and what appends to it.
func newEventColumn(t reflect.Type, kind string) (proto.ColInput, func(reflect.Value)) {
	under := func(c proto.Column) proto.ColInput { return typedColumn{c, proto.ColumnType(kind)} }
	switch t {
	case reflect.TypeFor[[]byte]():
		c := new(proto.ColStr)
		return c, func(v reflect.Value) { c.AppendBytes(v.Bytes()) }
	case reflect.TypeFor[[]string]():
		c := new(proto.ColStr).Array()
		return c, func(v reflect.Value) { c.Append(v.Interface().([]string)) }
	case reflect.TypeFor[[]schemas.Label]():
		return labelsColumn()
	case reflect.TypeFor[[]schemas.GPURef]():
		return gpusColumn(kind)
	}
	switch t.Kind() {
	case reflect.Bool:
		c := new(proto.ColBool)
		return c, func(v reflect.Value) { c.Append(v.Bool()) }
	case reflect.Int32:
		c := new(proto.ColInt32)
		return under(c), func(v reflect.Value) { c.Append(int32(v.Int())) }
	case reflect.Int64:
		c := new(proto.ColInt64)
		return under(c), func(v reflect.Value) { c.Append(v.Int()) }
	case reflect.Uint32:
		c := new(proto.ColUInt32)
		return under(c), func(v reflect.Value) { c.Append(uint32(v.Uint())) }
	case reflect.Uint64:
		c := new(proto.ColUInt64)
		return under(c), func(v reflect.Value) { c.Append(v.Uint()) }
	case reflect.String:
		return stringColumn(kind)
	}
	panic("columns: no column of " + t.String() + ": a declaration needs one here")
}

func stringColumn(kind string) (proto.ColInput, func(reflect.Value)) {
	if kind == "String" {
		c := new(proto.ColStr)
		return c, func(v reflect.Value) { c.Append(v.String()) }
	}
	c := new(proto.ColStr).LowCardinality()
	return c, func(v reflect.Value) { c.Append(v.String()) }
}

// labelsColumn is Map(String, String).
func labelsColumn() (proto.ColInput, func(reflect.Value)) {
	c := proto.NewMap(new(proto.ColStr), new(proto.ColStr))
	return c, func(v reflect.Value) {
		var pairs []proto.KV[string, string]
		for _, l := range v.Interface().([]schemas.Label) {
			pairs = append(pairs, proto.KV[string, string]{Key: l.Key, Value: l.Value})
		}
		c.AppendKV(pairs)
	}
}

// refs is Array(Tuple(...)): a tuple's columns follow one another.
type refs struct {
	ends             proto.ColUInt64
	node, gpu, slice proto.ColStr
	share            proto.ColInt32
	kind             proto.ColumnType
}

func gpusColumn(kind string) (proto.ColInput, func(reflect.Value)) {
	c := &refs{kind: proto.ColumnType(kind)}
	return c, func(v reflect.Value) {
		for _, g := range v.Interface().([]schemas.GPURef) {
			c.node.Append(g.Node)
			c.gpu.Append(g.GPU)
			c.slice.Append(g.Slice)
			c.share.Append(g.Share)
		}
		c.ends.Append(uint64(c.share.Rows()))
	}
}

func (r *refs) parts() []proto.Column {
	return []proto.Column{&r.ends, &r.node, &r.gpu, &r.slice, &r.share}
}

func (r *refs) Type() proto.ColumnType { return r.kind }

func (r *refs) Rows() int { return r.ends.Rows() }

func (r *refs) Reset() {
	for _, p := range r.parts() {
		p.Reset()
	}
}

func (r *refs) EncodeColumn(b *proto.Buffer) {
	for _, p := range r.parts() {
		p.EncodeColumn(b)
	}
}

func (r *refs) WriteColumn(w *proto.Writer) {
	for _, p := range r.parts() {
		p.WriteColumn(w)
	}
}

package wire

import (
	"bytes"
	"fmt"
	"reflect"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// Row is a row of a low-rate stream.
type Row interface {
	schemas.Allocation | schemas.Resource | schemas.Price | schemas.Tag | schemas.Tick | schemas.Process | schemas.DeadLetter |
		schemas.Activity | schemas.Finding | schemas.Notice | schemas.Quarantined
}

// stream is the name of the stream of rows of type T.
func stream[T Row]() string {
	want := reflect.TypeFor[T]()
	for _, s := range schemas.Streams() {
		if reflect.TypeOf(s.Row) == want {
			return s.Name
		}
	}
	panic("a row type without a stream: add it to schemas.Streams") // unreachable: a test walks Row
}

// Encode makes one record of rows. It sets Topic, Key, Value and Headers.
func Encode[T Row](key string, rows []T) (*kgo.Record, error) {
	schema, err := rowSchema(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	if len(rows) > maxEvents {
		return nil, fmt.Errorf("batch of %s has %d rows, more than %d: send smaller batches", stream[T](), len(rows), maxEvents)
	}
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	for i := range rows {
		row := reflect.ValueOf(&rows[i]).Elem()
		for f := range row.NumField() {
			put(b.Field(f), row.Field(f))
		}
	}
	rec := b.NewRecord()
	defer rec.Release()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	if err := w.Write(rec); err != nil {
		return nil, fmt.Errorf("encode %s: %w", stream[T](), err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode %s: %w", stream[T](), err)
	}
	return record(stream[T](), key, out.Bytes(), len(rows), fingerprint(schema))
}

// rowSchema is the Arrow schema that a struct's col tags declare.
func rowSchema(t reflect.Type) (*arrow.Schema, error) {
	fields, err := structFields(t)
	if err != nil {
		return nil, err
	}
	return arrow.NewSchema(fields, nil), nil
}

func structFields(t reflect.Type) ([]arrow.Field, error) {
	var fields []arrow.Field
	for i := range t.NumField() {
		f := t.Field(i)
		name, ok := f.Tag.Lookup("col")
		if !ok {
			return nil, fmt.Errorf("%s.%s has no col tag", t, f.Name)
		}
		dt, err := arrowType(f.Type)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		fields = append(fields, arrow.Field{Name: name, Type: dt})
	}
	return fields, nil
}

func arrowType(t reflect.Type) (arrow.DataType, error) {
	switch t.Kind() {
	case reflect.Int64:
		return arrow.PrimitiveTypes.Int64, nil
	case reflect.Int32:
		return arrow.PrimitiveTypes.Int32, nil
	case reflect.Uint32:
		return arrow.PrimitiveTypes.Uint32, nil
	case reflect.Uint64:
		return arrow.PrimitiveTypes.Uint64, nil
	case reflect.Bool:
		return arrow.FixedWidthTypes.Boolean, nil
	case reflect.String:
		return arrow.BinaryTypes.String, nil
	case reflect.Struct:
		fields, err := structFields(t)
		if err != nil {
			return nil, err
		}
		return arrow.StructOf(fields...), nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return arrow.BinaryTypes.Binary, nil
		}
		elem, err := arrowType(t.Elem())
		if err != nil {
			return nil, err
		}
		return arrow.ListOfNonNullable(elem), nil
	}
	return nil, fmt.Errorf("no Arrow type for %s", t)
}

// put appends v to the builder of its type.
func put(b array.Builder, v reflect.Value) {
	switch b := b.(type) {
	case *array.Int64Builder:
		b.Append(v.Int())
	case *array.Int32Builder:
		b.Append(int32(v.Int()))
	case *array.Uint32Builder:
		b.Append(uint32(v.Uint()))
	case *array.Uint64Builder:
		b.Append(v.Uint())
	case *array.BooleanBuilder:
		b.Append(v.Bool())
	case *array.StringBuilder:
		b.Append(v.String())
	case *array.BinaryBuilder:
		b.Append(v.Bytes())
	case *array.ListBuilder:
		b.Append(true)
		for i := range v.Len() {
			put(b.ValueBuilder(), v.Index(i))
		}
	case *array.StructBuilder:
		b.Append(true)
		for i := range v.NumField() {
			put(b.FieldBuilder(i), v.Field(i))
		}
	}
}

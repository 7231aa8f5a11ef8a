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
	schemas.Allocation | schemas.Resource | schemas.Price | schemas.Tag | schemas.Tick | schemas.Process | schemas.DeadLetter
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

// Decode appends the rows of rec to dst. A column that an older writer did not
// have is the zero value; one that only a newer writer has is skipped. An error
// wraps ErrCorrupt and leaves dst as it was.
func Decode[T Row](dst []T, rec *kgo.Record) (_ []T, err error) {
	n, err := open(rec)
	if err != nil {
		return dst, err
	}
	kept := len(dst)
	defer func() {
		if p := recover(); p != nil {
			dst, err = dst[:kept], corrupt("arrow: %v", p)
		}
	}()
	err = readStream(rec.Value, func(batch arrow.Record) error {
		from := len(dst)
		dst = append(dst, make([]T, batch.NumRows())...)
		rows := dst[from:]
		return takeRows(batch, func(i int) reflect.Value { return reflect.ValueOf(&rows[i]).Elem() }, reflect.TypeFor[T]())
	})
	if err == nil && len(dst)-kept != n {
		err = corrupt("%d rows, the header says %d", len(dst)-kept, n)
	}
	if err != nil {
		return dst[:kept], err
	}
	return dst, nil
}

// takeRows sets the fields of each row from the column of its name.
func takeRows(batch arrow.Record, row func(i int) reflect.Value, t reflect.Type) error {
	for f := range t.NumField() {
		name := t.Field(f).Tag.Get("col")
		at := batch.Schema().FieldIndices(name)
		if len(at) == 0 {
			continue
		}
		column := batch.Column(at[0])
		for i := range column.Len() {
			if column.IsNull(i) {
				continue
			}
			if err := take(row(i).Field(f), column, i); err != nil {
				return fmt.Errorf("column %s: %w", name, err)
			}
		}
	}
	return nil
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

// take sets dst from element i of column, widening integers.
func take(dst reflect.Value, column arrow.Array, i int) error {
	switch dst.Kind() {
	case reflect.Int64, reflect.Int32:
		v, ok := integerAt(column, i)
		if !ok || dst.OverflowInt(v) || (v < 0 && !arrow.IsSignedInteger(column.DataType().ID())) {
			return corrupt("%s does not hold a %s", column.DataType(), dst.Type())
		}
		dst.SetInt(v)
	case reflect.Uint32, reflect.Uint64:
		v, ok := integerAt(column, i)
		if !ok || dst.OverflowUint(uint64(v)) || (v < 0 && arrow.IsSignedInteger(column.DataType().ID())) {
			return corrupt("%s does not hold a %s", column.DataType(), dst.Type())
		}
		dst.SetUint(uint64(v))
	case reflect.Bool:
		c, ok := column.(*array.Boolean)
		if !ok {
			return corrupt("%s is not a boolean", column.DataType())
		}
		dst.SetBool(c.Value(i))
	case reflect.String:
		v, ok := textAt(column, i)
		if !ok {
			return corrupt("%s is not a text", column.DataType())
		}
		dst.SetString(v)
	case reflect.Struct:
		return takeStruct(dst, column, i)
	case reflect.Slice:
		return takeList(dst, column, i)
	}
	return nil
}

func takeStruct(dst reflect.Value, column arrow.Array, i int) error {
	c, ok := column.(*array.Struct)
	if !ok {
		return corrupt("%s is not a struct", column.DataType())
	}
	t := c.DataType().(*arrow.StructType)
	for f := range dst.NumField() {
		at, ok := t.FieldIdx(dst.Type().Field(f).Tag.Get("col"))
		if !ok || c.Field(at).IsNull(i) {
			continue
		}
		if err := take(dst.Field(f), c.Field(at), i); err != nil {
			return err
		}
	}
	return nil
}

func takeList(dst reflect.Value, column arrow.Array, i int) error {
	if c, ok := column.(*array.Binary); ok && dst.Type().Elem().Kind() == reflect.Uint8 {
		if v := c.Value(i); len(v) > 0 {
			dst.SetBytes(bytes.Clone(v))
		}
		return nil
	}
	c, ok := column.(*array.List)
	if !ok {
		return corrupt("%s is not a list", column.DataType())
	}
	from, to := c.ValueOffsets(i)
	if from < 0 || to < from || to > int64(c.ListValues().Len()) {
		return corrupt("a list lies outside its column")
	}
	if from == to {
		return nil
	}
	out := reflect.MakeSlice(dst.Type(), int(to-from), int(to-from))
	for k := from; k < to; k++ {
		if err := take(out.Index(int(k-from)), c.ListValues(), int(k)); err != nil {
			return err
		}
	}
	dst.Set(out)
	return nil
}

// integerAt reads any integer column: writers may widen. What lies above the
// range of int64 comes as a negative number.
func integerAt(column arrow.Array, i int) (int64, bool) {
	switch c := column.(type) {
	case *array.Int64:
		return c.Value(i), true
	case *array.Int32:
		return int64(c.Value(i)), true
	case *array.Int16:
		return int64(c.Value(i)), true
	case *array.Int8:
		return int64(c.Value(i)), true
	case *array.Uint64:
		return int64(c.Value(i)), true
	case *array.Uint32:
		return int64(c.Value(i)), true
	case *array.Uint16:
		return int64(c.Value(i)), true
	case *array.Uint8:
		return int64(c.Value(i)), true
	}
	return 0, false
}

// textAt copies a text out of a plain or large utf8 column.
func textAt(column arrow.Array, i int) (string, bool) {
	switch c := column.(type) {
	case *array.String:
		return string([]byte(c.Value(i))), true
	case *array.LargeString:
		return string([]byte(c.Value(i))), true
	}
	return "", false
}

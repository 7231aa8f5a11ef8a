package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Decode appends the rows of rec to dst. A column that an older writer did not
// have is zero, or Absent where its type has that; one that only a newer writer
// has is skipped. An error wraps ErrCorrupt and leaves dst as it was.
func Decode[T Row](dst []T, rec *kgo.Record) (_ []T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = corrupt("decoding it panics: %v", p)
		}
	}()
	n, err := open(rec)
	if err != nil {
		return dst, err
	}
	var s ipcStream
	// A copy lies on a multiple of 8 bytes, which a part of a fetch need not.
	if err := s.read(bytes.Clone(rec.Value)); err != nil {
		return dst, err
	}
	if s.batch.rows != n || n > maxEvents {
		return dst, corrupt("%d rows, the header says %d, and at most %d are read", s.batch.rows, n, maxEvents)
	}
	rows := make([]T, n)
	r := rowReader{batch: &s.batch}
	found, err := r.structs(reflect.ValueOf(rows), s.fields)
	if err != nil {
		return dst, err
	}
	if found == 0 {
		return dst, corrupt("none of its columns is one of %s", stream[T]())
	}
	return append(dst, rows...), nil
}

// A rowReader sets fields of structs, column by column.
type rowReader struct {
	batch    *recordBatch
	elements int // of lists so far
}

// structs sets the declared fields of the structs in rows and counts the columns
// that the writer has.
func (r *rowReader) structs(rows reflect.Value, fields []field) (found int, err error) {
	t := rows.Type().Elem()
	for i := range t.NumField() {
		name, kind := t.Field(i).Tag.Get("col"), t.Field(i).Type
		at := func(row int) reflect.Value { return rows.Index(row).Field(i) }
		f := fieldNamed(fields, name)
		if f == nil {
			setAbsent(kind, rows.Len(), at)
			continue
		}
		found++
		if err := r.column(f, kind, rows.Len(), at); err != nil {
			return found, fmt.Errorf("column %s: %w", name, err)
		}
	}
	return found, nil
}

// setAbsent sets a column that the writer does not have.
func setAbsent(t reflect.Type, n int, at func(i int) reflect.Value) {
	if t.Kind() != reflect.Uint32 && t.Kind() != reflect.Uint64 {
		return
	}
	for i := range n {
		at(i).SetUint(uint64(1)<<t.Bits() - 1)
	}
}

// column sets n values of type t from the column of f.
func (r *rowReader) column(f *field, t reflect.Type, n int, at func(i int) reflect.Value) error {
	switch t.Kind() {
	case reflect.Bool:
		return r.bools(f, n, at)
	case reflect.String:
		return r.texts(f, n, func(i int, v []byte) { at(i).SetString(string(v)) })
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return r.texts(f, n, func(i int, v []byte) { at(i).SetBytes(append([]byte(nil), v...)) })
		}
		return r.lists(f, t, n, at)
	case reflect.Int32, reflect.Int64:
		return r.signed(f, t, n, at)
	case reflect.Uint32, reflect.Uint64:
		return r.unsigned(f, t, n, at)
	default:
		return fmt.Errorf("no way to read a %s", t)
	}
}

func (r *rowReader) signed(f *field, t reflect.Type, n int, at func(i int) reflect.Value) error {
	v, err := r.batch.numbersOf(f, n)
	if err != nil {
		return err
	}
	values, err := converted[int64](nil, &v)
	if err != nil {
		return err
	}
	for i, x := range values {
		if null(v.validity, i) {
			continue
		}
		if reflect.Zero(t).OverflowInt(x) {
			return corrupt("%d does not fit %s", x, t)
		}
		at(i).SetInt(x)
	}
	return nil
}

func (r *rowReader) unsigned(f *field, t reflect.Type, n int, at func(i int) reflect.Value) error {
	v, err := r.batch.numbersOf(f, n)
	if err != nil {
		return err
	}
	values, err := converted[uint64](nil, &v)
	if err != nil {
		return err
	}
	setNulls(values, v.validity, uint64(1)<<t.Bits()-1)
	for i, x := range values {
		if reflect.Zero(t).OverflowUint(x) {
			return corrupt("%d does not fit %s", x, t)
		}
		at(i).SetUint(x)
	}
	return nil
}

func (r *rowReader) bools(f *field, n int, at func(i int) reflect.Value) error {
	if f.kind != typeBool || f.encoded {
		return corrupt("Arrow type %d is no boolean", f.kind)
	}
	validity, _, err := r.batch.fixed(f.node, f.buffer, n, 0)
	if err != nil {
		return err
	}
	bits, err := r.batch.buffer(f.buffer+1, (n+7)/8)
	if err != nil {
		return err
	}
	for i := range n {
		at(i).SetBool(!null(bits, i) && !null(validity, i))
	}
	return nil
}

func (r *rowReader) texts(f *field, n int, set func(i int, v []byte)) error {
	if f.encoded || !slices.Contains([]byte{typeText, typeBinary, typeLargeText, typeLargeBinary}, f.kind) {
		return corrupt("Arrow type %d is no text", f.kind)
	}
	offsets, data, err := r.batch.texts(f.node, f.buffer, n, f.kind == typeLargeText || f.kind == typeLargeBinary)
	if err != nil {
		return err
	}
	for i := range n {
		if v := data[offsets[i]:offsets[i+1]]; len(v) > 0 {
			set(i, v)
		}
	}
	return nil
}

// lists sets slices: all elements are read as one column, of which each row has
// a part. An empty list is nil.
func (r *rowReader) lists(f *field, t reflect.Type, n int, at func(i int) reflect.Value) error {
	if f.kind != typeList && f.kind != typeMap || f.encoded || len(f.children) != 1 {
		return corrupt("Arrow type %d is no list", f.kind)
	}
	rows, _, err := r.batch.node(f.node)
	if err != nil || rows != n {
		return corrupt("%d lists, not %d: %v", rows, n, err)
	}
	child := &f.children[0]
	total, _, err := r.batch.node(child.node)
	if err != nil {
		return err
	}
	// Structs of columns that the writer does not have take no bytes.
	if r.elements += total; r.elements > maxRows {
		return corrupt("%d elements in lists, more than %d", r.elements, maxRows)
	}
	offsets, err := r.batch.offsets(f.buffer+1, n, total)
	if err != nil {
		return err
	}
	all := reflect.MakeSlice(t, total, total)
	if t.Elem().Kind() == reflect.Struct {
		if child.kind != typeStruct {
			return corrupt("Arrow type %d is no struct", child.kind)
		}
		_, err = r.structs(all, child.children)
	} else {
		err = r.column(child, t.Elem(), total, all.Index)
	}
	if err != nil {
		return err
	}
	for i := range n {
		if from, to := int(offsets[i]), int(offsets[i+1]); from < to {
			at(i).Set(all.Slice3(from, to, to))
		}
	}
	return nil
}

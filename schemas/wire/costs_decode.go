package wire

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// A CostDecoder decodes batches of cost facts; it keeps its buffers. The zero
// value is ready. Not for concurrent use.
type CostDecoder struct {
	zstd    *zstd.Decoder
	raw     []byte
	stream  ipcStream
	columns []costColumn
	scratch schemas.Costs // memory of columns that cannot be used in place
	texts   int           // texts cut so far of this record
}

// A costColumn is a declared column of schemas.Costs.
type costColumn struct {
	name  string
	field int // index of the struct's field
}

func costColumns() []costColumn {
	var out []costColumn
	t := reflect.TypeFor[schemas.Costs]()
	for i := range t.NumField() {
		if name, ok := t.Field(i).Tag.Lookup("col"); ok {
			out = append(out, costColumn{name, i})
		}
	}
	return out
}

func (d *CostDecoder) open() (err error) {
	if d.zstd != nil {
		return nil
	}
	d.columns, d.raw = costColumns(), make([]byte, 0, 1<<20)
	if d.zstd, err = newDecompressor(); err != nil {
		return fmt.Errorf("make a zstd decoder: %w", err)
	}
	return nil
}

// Close gives up what the decoder holds; its last rows stay valid.
func (d *CostDecoder) Close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

// Decode replaces what c holds by the rows of rec. The columns are memory of the
// decoder: c is valid until the next call, its strings for ever. A column that an
// older writer did not have is empty texts, zeros or absent values. An error wraps
// ErrCorrupt and leaves c empty.
func (d *CostDecoder) Decode(c *schemas.Costs, rec *kgo.Record) (err error) {
	*c = schemas.Costs{}
	if err := d.open(); err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = corrupt("decoding it panics: %v", p)
		}
		if err != nil {
			*c = schemas.Costs{}
		}
	}()
	rows, err := open(rec)
	if err != nil {
		return err
	}
	if d.raw, err = d.zstd.DecodeAll(rec.Value, d.raw[:0]); err != nil {
		return corrupt("zstd: %v", err)
	}
	if len(d.raw) > maxValue {
		return corrupt("value of %d bytes when decompressed, more than %d", len(d.raw), maxValue)
	}
	if err := d.stream.read(d.raw); err != nil {
		return err
	}
	if n := d.stream.batch.rows; n != rows || n > maxFacts {
		return corrupt("%d rows, the header says %d, and at most %d are read", n, rows, maxFacts)
	}
	return d.decode(c)
}

func (d *CostDecoder) decode(c *schemas.Costs) error {
	if fieldNamed(d.stream.fields, "window_start") == nil {
		return corrupt("no column window_start: these are no cost facts")
	}
	d.texts = 0
	to, scratch := reflect.ValueOf(c).Elem(), reflect.ValueOf(&d.scratch).Elem()
	for _, col := range d.columns {
		v, s := to.Field(col.field).Addr().Interface(), scratch.Field(col.field).Addr().Interface()
		if err := d.column(c, fieldNamed(d.stream.fields, col.name), v, s); err != nil {
			return fmt.Errorf("column %s: %w", col.name, err)
		}
	}
	return nil
}

// column sets the column that v points to from f, nil when the writer does not
// have it; s points to memory that it may use.
func (d *CostDecoder) column(c *schemas.Costs, f *field, v, s any) error {
	b := &d.stream.batch
	switch v := v.(type) {
	case *schemas.Text:
		return d.text(v, f, s.(*schemas.Text))
	case *[]uint8:
		return takeFixed(b, v, f, s.(*[]uint8), 0)
	case *[]int64:
		return takeFixed(b, v, f, s.(*[]int64), 0)
	case *[]uint64:
		return takeFixed(b, v, f, s.(*[]uint64), schemas.Absent64)
	case *[]uint32:
		if v == &c.Runs {
			return d.runs(c, f)
		}
		return takeFixed(b, v, f, s.(*[]uint32), schemas.Absent32)
	default:
		return fmt.Errorf("no way to read a %T", v)
	}
}

// takeFixed sets a column of integers: in place where the writer has the same
// type, else converted. Null and no column are absent.
func takeFixed[W word](b *recordBatch, to *[]W, f *field, scratch *[]W, absent W) error {
	if f == nil {
		*scratch = repeat(*scratch, b.rows, absent)
		*to = *scratch
		return nil
	}
	v, err := b.numbersOf(f, b.rows)
	if err != nil {
		return err
	}
	column, ok := inPlace[W](&v)
	if !ok {
		if column, err = converted(*scratch, &v); err != nil {
			return err
		}
		*scratch = column
	}
	setNulls(column, v.validity, absent)
	*to = column
	return nil
}

// text sets a column of texts. Its strings are cut out of one copy of all
// dictionaries; indices are used in place.
func (d *CostDecoder) text(to *schemas.Text, f *field, scratch *schemas.Text) error {
	b := &d.stream.batch
	if f == nil {
		scratch.Index, scratch.Dict = repeat(scratch.Index, b.rows, 0), append(scratch.Dict[:0], "")
		*to = *scratch
		return nil
	}
	if !f.encoded || f.kind != typeText {
		return corrupt("Arrow type %d is no dictionary of texts", f.kind)
	}
	values := d.stream.find(f.id)
	if values == nil {
		return corrupt("dictionary %d is missing", f.id)
	}
	// Columns may share a dictionary, so the bytes do not bound what they take.
	if d.texts += values.values.rows; d.texts > maxRows {
		return corrupt("more than %d texts in dictionaries", maxRows)
	}
	var err error
	if scratch.Dict, err = values.strings(scratch.Dict); err != nil {
		return err
	}
	to.Dict = scratch.Dict
	v, err := b.numbersOf(f, b.rows)
	if err != nil {
		return err
	}
	if v.validity != nil {
		return corrupt("a text is null")
	}
	if err := takeFixed(b, &to.Index, f, &scratch.Index, 0); err != nil {
		return err
	}
	if len(to.Index) > 0 && int(slices.Max(to.Index)) >= len(to.Dict) {
		return corrupt("text %d of a dictionary of %d", slices.Max(to.Index), len(to.Dict))
	}
	return nil
}

// strings cuts the texts of a dictionary, in dst's memory.
func (d *dictionary) strings(dst []string) ([]string, error) {
	b := &d.values
	offsets, data, err := b.texts(0, 0, b.rows, false)
	if err != nil {
		return dst, err
	}
	at := cap(b.body) - cap(data) // data is a part of the body
	texts := d.texts[at : at+len(data)]
	dst = slices.Grow(dst[:0], b.rows)[:b.rows]
	for i := range dst {
		dst[i] = texts[offsets[i]:offsets[i+1]]
	}
	return dst, nil
}

// runs sets Runs and where each row's end.
func (d *CostDecoder) runs(c *schemas.Costs, f *field) error {
	b := &d.stream.batch
	if f == nil {
		d.scratch.RunsEnd = repeat(d.scratch.RunsEnd, b.rows, 0)
		c.RunsEnd = d.scratch.RunsEnd
		return nil
	}
	if f.kind != typeList || len(f.children) != 1 || f.encoded {
		return corrupt("Arrow type %d is no list", f.kind)
	}
	child := &f.children[0]
	n, nulls, err := b.node(f.node)
	if err != nil || n != b.rows || nulls > 0 {
		return corrupt("%d lists, %d of them null, in %d rows: %v", n, nulls, b.rows, err)
	}
	n, nulls, err = b.node(child.node)
	if err != nil || nulls > 0 {
		return corrupt("%d runs are null: %v", nulls, err)
	}
	offsets, err := b.offsets(f.buffer+1, b.rows, n)
	if err != nil {
		return err
	}
	v, err := b.numbersOf(child, n)
	if err != nil {
		return err
	}
	runs, ok := inPlace[uint32](&v)
	if !ok {
		if runs, err = converted(d.scratch.Runs, &v); err != nil {
			return err
		}
		d.scratch.Runs = runs
	}
	first := offsets[0]
	c.Runs = runs[first:offsets[b.rows]]
	d.scratch.RunsEnd = repeat(d.scratch.RunsEnd, b.rows, 0)
	c.RunsEnd = d.scratch.RunsEnd
	for i, end := range offsets[1:] {
		c.RunsEnd[i] = uint32(end - first)
	}
	return nil
}

package wire

import (
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// A CostDecoder decodes batches of cost facts; it keeps its buffers. The zero
// value is ready. Not for concurrent use.
type CostDecoder struct {
	zstd *zstd.Decoder
	raw  []byte
}

// Close gives up what the decoder holds.
func (d *CostDecoder) Close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

// Decode replaces what c holds by the rows of rec. c is valid until the next
// call. A column that an older writer did not have is empty texts, zeros or
// absent values. An error wraps ErrCorrupt and leaves c empty.
func (d *CostDecoder) Decode(c *schemas.Costs, rec *kgo.Record) (err error) {
	if d.zstd == nil {
		if d.zstd, err = newDecompressor(); err != nil {
			return fmt.Errorf("make a zstd decoder: %w", err)
		}
	}
	c.Reset()
	defer func() {
		if p := recover(); p != nil {
			err = corrupt("arrow: %v", p)
		}
		if err != nil {
			c.Reset()
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
	batches := 0
	err = readStream(d.raw, func(batch arrow.Record) error {
		if batches++; batches > 1 || int(batch.NumRows()) != rows {
			return corrupt("batch %d of %d rows, the header says one of %d", batches, batch.NumRows(), rows)
		}
		return takeCosts(c, batch)
	})
	if err == nil && batches == 0 && rows > 0 {
		err = corrupt("no rows, the header says %d", rows)
	}
	return err
}

func takeCosts(c *schemas.Costs, batch arrow.Record) error {
	n := int(batch.NumRows())
	return costFields(c, func(name string, field any) error {
		var column arrow.Array
		if at := batch.Schema().FieldIndices(name); len(at) > 0 {
			column = batch.Column(at[0])
		}
		if name == runsColumn {
			return takeRuns(c, column, n)
		}
		switch f := field.(type) {
		case *schemas.Text:
			return takeText(f, column, n)
		case *[]int64:
			return takeFixed(f, column, n, 0)
		case *[]uint8:
			return takeFixed(f, column, n, 0)
		case *[]uint32:
			return takeFixed(f, column, n, schemas.Absent32)
		case *[]uint64:
			return takeFixed(f, column, n, schemas.Absent64)
		}
		return nil
	})
}

// takeFixed copies an integer column of any width; null and no column are absent.
func takeFixed[T int64 | uint64 | uint32 | uint8](dst *[]T, column arrow.Array, n int, absent T) error {
	out := slices.Grow((*dst)[:0], n)[:n]
	*dst = out
	if column == nil {
		for i := range out {
			out[i] = absent
		}
		return nil
	}
	switch values := any(out).(type) {
	case []int64:
		if c, ok := column.(*array.Int64); ok && c.NullN() == 0 {
			copy(values, c.Int64Values())
			return nil
		}
	case []uint64:
		if c, ok := column.(*array.Uint64); ok && c.NullN() == 0 {
			copy(values, c.Uint64Values())
			return nil
		}
	case []uint32:
		if c, ok := column.(*array.Uint32); ok && c.NullN() == 0 {
			copy(values, c.Uint32Values())
			return nil
		}
	case []uint8:
		if c, ok := column.(*array.Uint8); ok && c.NullN() == 0 {
			copy(values, c.Uint8Values())
			return nil
		}
	}
	for i := range out {
		if out[i] = absent; column.IsNull(i) {
			continue
		}
		v, ok := integerAt(column, i)
		if !ok {
			return corrupt("%s is not an integer", column.DataType())
		}
		if out[i] = T(v); int64(out[i]) != v {
			return corrupt("%d does not fit", v)
		}
	}
	return nil
}

func takeText(dst *schemas.Text, column arrow.Array, n int) error {
	dst.Index = slices.Grow(dst.Index[:0], n)[:n]
	if column == nil {
		clear(dst.Index)
		dst.Dict = append(dst.Dict[:0], "")
		return nil
	}
	c, ok := column.(*array.Dictionary)
	if !ok {
		return corrupt("%s is not a dictionary", column.DataType())
	}
	values, ok := c.Dictionary().(*array.String)
	if !ok {
		return corrupt("%s is not a dictionary of texts", column.DataType())
	}
	dst.Dict = slices.Grow(dst.Dict[:0], values.Len())[:values.Len()]
	for i := range dst.Dict {
		dst.Dict[i] = values.Value(i) // lies in the batch's own memory, which nobody writes again
	}
	if k, ok := c.Indices().(*array.Uint32); ok {
		copy(dst.Index, k.Uint32Values())
	} else {
		for i := range dst.Index {
			dst.Index[i] = uint32(c.GetValueIndex(i))
		}
	}
	for i, k := range dst.Index {
		if int(k) >= len(dst.Dict) || column.IsNull(i) {
			return corrupt("text %d of a dictionary of %d", k, len(dst.Dict))
		}
	}
	return nil
}

func takeRuns(c *schemas.Costs, column arrow.Array, n int) error {
	c.RunsEnd = slices.Grow(c.RunsEnd[:0], n)[:n]
	c.Runs = c.Runs[:0]
	if column == nil {
		clear(c.RunsEnd)
		return nil
	}
	list, ok := column.(*array.List)
	if !ok {
		return corrupt("%s is not a list", column.DataType())
	}
	values, ok := list.ListValues().(*array.Uint32)
	if !ok {
		return corrupt("%s is not a list of unsigned integers", column.DataType())
	}
	for i := range n {
		from, to := list.ValueOffsets(i)
		if from < 0 || to < from || to > int64(values.Len()) {
			return corrupt("a row's runs lie outside their column")
		}
		c.Runs = append(c.Runs, values.Uint32Values()[from:to]...)
		c.RunsEnd[i] = uint32(len(c.Runs))
	}
	return nil
}

package wire

import (
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// maxPlans bounds how many schemas a decoder remembers.
const maxPlans = 256

// A CostDecoder decodes batches of cost facts; it keeps its buffers, and what it
// learnt of the schemas it has seen. The zero value is ready. Not for concurrent
// use.
type CostDecoder struct {
	zstd  *zstd.Decoder
	raw   []byte
	plans map[string]*costPlan // by schema message
	texts map[int64][]string   // by dictionary, of the present stream
	batch message
	plan  *costPlan
	index []uint32
}

// Close gives up what the decoder holds.
func (d *CostDecoder) Close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

// Decode replaces what c holds by the rows of rec. c is valid until the next
// call, its texts for ever. A column that an older writer did not have is empty
// texts, zeros or absent values. An error wraps ErrCorrupt and leaves c empty.
func (d *CostDecoder) Decode(c *schemas.Costs, rec *kgo.Record) (err error) {
	if d.zstd == nil {
		if d.zstd, err = newDecompressor(); err != nil {
			return fmt.Errorf("make a zstd decoder: %w", err)
		}
		d.plans, d.texts = map[string]*costPlan{}, map[int64][]string{}
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
	if len(d.raw) > maxValue || rows > len(d.raw)/4 { // a row has at least its window_start
		return corrupt("%d rows in a value of %d bytes when decompressed, of at most %d", rows, len(d.raw), maxValue)
	}
	return d.stream(c, rows)
}

// stream reads the messages: a schema, dictionaries, one batch, the end mark.
func (d *CostDecoder) stream(c *schemas.Costs, rows int) error {
	clear(d.texts)
	d.plan = nil
	taken := false
	for b := d.raw; ; {
		p, rest, err := next(b)
		switch {
		case err != nil:
		case p.kind == 0:
			if len(rest) != 0 || !taken {
				return corrupt("%d bytes behind the end of the stream, %t that it has a batch", len(rest), taken)
			}
			return nil
		case (p.kind == kindSchema) != (d.plan == nil), taken:
			return corrupt("a message of kind %d where none may be", p.kind)
		case p.kind == kindSchema:
			d.plan, err = d.planOf(b[:len(b)-len(rest)], &p)
		case p.kind == kindDictionary:
			err = d.dictionary(&p)
		default:
			taken, err = true, d.take(c, &p, rows)
		}
		if err != nil {
			return err
		}
		b = rest
	}
}

func (d *CostDecoder) planOf(raw []byte, p *part) (*costPlan, error) {
	if plan, ok := d.plans[string(raw)]; ok {
		return plan, nil
	}
	plan, err := planCosts(raw, p)
	if err != nil {
		return nil, err
	}
	if len(d.plans) >= maxPlans {
		clear(d.plans)
	}
	d.plans[string(raw)] = plan
	return plan, nil
}

// dictionary keeps the texts of a dictionary: one piece of memory for all.
func (d *CostDecoder) dictionary(p *part) error {
	const id, data, isDelta = 0, 1, 2
	key := int64(0)
	if at := p.head.field(id); at > 0 {
		key = p.head.i64(at)
	}
	delta := p.head.field(isDelta)
	batch := p.head.follow(p.head.field(data))
	if !p.head.ok || (delta > 0 && p.head.buf[delta] != 0) {
		return corrupt("dictionary %d is cut, or a delta", key)
	}
	if err := d.batch.columns(&batch, p.body, []int{3}); err != nil {
		return fmt.Errorf("dictionary %d: %w", key, err)
	}
	blob := string(d.batch.buffers[2])
	values := make([]string, 0, min(d.batch.rows, len(p.body)))
	err := spans(d.batch.buffers[1], d.batch.rows, len(blob), func(_, from, to int) { values = append(values, blob[from:to]) })
	if err != nil {
		return fmt.Errorf("dictionary %d: %w", key, err)
	}
	d.texts[key] = values
	return nil
}

// take reads the columns of the batch into c.
func (d *CostDecoder) take(c *schemas.Costs, p *part, rows int) error {
	if err := d.batch.columns(&p.head, p.body, d.plan.widths); err != nil {
		return err
	}
	if d.batch.rows != rows {
		return corrupt("a batch of %d rows, the header says %d", d.batch.rows, rows)
	}
	return costFields(c, func(name string, field any) error {
		col, there := d.plan.columns[name]
		if there && d.batch.lengths[col.node] != rows {
			return corrupt("%d rows, the batch has %d", d.batch.lengths[col.node], rows)
		}
		if name == runsColumn {
			return d.runs(c, col, there, rows)
		}
		switch f := field.(type) {
		case *schemas.Text:
			return d.text(f, col, there, rows)
		case *[]int64:
			return takeFixed(d, f, col, there, rows, 0)
		case *[]uint8:
			return takeFixed(d, f, col, there, rows, 0)
		case *[]uint32:
			return takeFixed(d, f, col, there, rows, schemas.Absent32)
		case *[]uint64:
			return takeFixed(d, f, col, there, rows, schemas.Absent64)
		}
		return nil
	})
}

// text reads a dictionary column.
func (d *CostDecoder) text(dst *schemas.Text, col plannedColumn, there bool, rows int) (err error) {
	if !there {
		dst.Index = fill(dst.Index, rows, 0)
		dst.Dict = append(dst.Dict[:0], "")
		return nil
	}
	kind, ok := col.kind.(*arrow.DictionaryType)
	if !ok || kind.ValueType.ID() != arrow.STRING || d.batch.nulls[col.node] > 0 {
		return corrupt("%s is not a dictionary of texts, or has nulls", col.kind)
	}
	dst.Dict = append(dst.Dict[:0], d.texts[col.dictionary]...)
	col.kind = kind.IndexType
	if err := takeFixed(d, &dst.Index, col, true, rows, 0); err != nil {
		return err
	}
	greatest := uint32(0)
	for _, k := range dst.Index {
		greatest = max(greatest, k)
	}
	if rows > 0 && int64(greatest) >= int64(len(dst.Dict)) {
		return corrupt("text %d of %d", greatest, len(dst.Dict))
	}
	return nil
}

// runs reads the list column.
func (d *CostDecoder) runs(c *schemas.Costs, col plannedColumn, there bool, rows int) error {
	c.Runs = c.Runs[:0]
	if !there {
		c.RunsEnd = fill(c.RunsEnd, rows, 0)
		return nil
	}
	list, ok := col.kind.(*arrow.ListType)
	if !ok {
		return corrupt("%s is not a list", col.kind)
	}
	values := plannedColumn{kind: list.Elem(), node: col.node + 1, buffer: col.buffer + 2}
	n := d.batch.lengths[values.node]
	if n > maxValue/4 {
		return corrupt("%d ends of runs", n)
	}
	if err := takeFixed(d, &d.index, values, true, n, 0); err != nil {
		return err
	}
	c.RunsEnd = slices.Grow(c.RunsEnd[:0], rows)
	return spans(d.batch.buffers[col.buffer+1], rows, n, func(_, from, to int) {
		c.Runs = append(c.Runs, d.index[from:to]...)
		c.RunsEnd = append(c.RunsEnd, uint32(len(c.Runs)))
	})
}

// takeFixed reads an integer column of any width; null and no column are absent.
func takeFixed[T int64 | uint64 | uint32 | uint8](d *CostDecoder, dst *[]T, col plannedColumn, there bool, rows int, absent T) error {
	*dst = grow(*dst, rows)
	out := *dst
	if !there {
		for i := range out {
			out[i] = absent
		}
		return nil
	}
	kind, ok := col.kind.(arrow.FixedWidthDataType)
	if !ok || !arrow.IsInteger(kind.ID()) {
		return corrupt("%s is not an integer", col.kind)
	}
	c := codec{width: kind.Bytes(), unit: 1}
	data, validity := d.batch.buffers[col.buffer+1], d.batch.buffers[col.buffer]
	if len(data) < rows*c.width {
		return corrupt("%d bytes for %d rows of %d", len(data), rows, c.width)
	}
	nulls := d.batch.nulls[col.node] > 0
	if nulls && len(validity) < (rows+7)/8 {
		return corrupt("the validity bitmap is cut")
	}
	if !widenInto(out, data, c.width, arrow.IsSignedInteger(kind.ID())) {
		return corrupt("a value of %s does not fit", col.kind)
	}
	for i := 0; nulls && i < rows; i++ {
		if isNull(validity, i) {
			out[i] = absent
		}
	}
	return nil
}

package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// A SampleEncoder encodes batches of samples; it keeps its buffers. The zero
// value is ready. Not for concurrent use.
type SampleEncoder struct {
	zstd   *zstd.Encoder
	order  []int
	wide   []uint64 // one column, in the order of the message
	null   []bool
	raw    bytes.Buffer
	cols   [sampleColumnCount]sampleColumn
	prints map[string]uint64 // fingerprint by layout
}

func (e *SampleEncoder) open() (err error) {
	if e.zstd != nil {
		return nil
	}
	e.cols, e.prints = sampleColumns(), map[string]uint64{}
	if e.zstd, err = newCompressor(zstd.SpeedDefault); err != nil {
		return fmt.Errorf("make a zstd encoder: %w", err)
	}
	return nil
}

// Encode makes one record of s, keyed by node. The message has the rows sorted
// by series and ts; s stays as it is. It is an error when the columns differ in
// length, an index has no series, or the batch is too large.
func (e *SampleEncoder) Encode(s *schemas.Samples) (*kgo.Record, error) {
	if err := e.open(); err != nil {
		return nil, err
	}
	if err := check(s); err != nil {
		return nil, fmt.Errorf("samples of node %q: %w", s.Node, err)
	}
	e.sort(s)
	e.raw.Reset()
	form := formOf(s.Series)
	if err := writeMessage(&e.raw, seriesRecord(s.Series, form)); err != nil {
		return nil, fmt.Errorf("encode series of node %q: %w", s.Node, err)
	}
	base := int64(0)
	if s.Len() > 0 {
		base = slices.Min(s.TS)
	}
	rows, letters := e.rows(s, base)
	layout := append([]byte{form}, letters...)
	if err := writeMessage(&e.raw, rows); err != nil {
		return nil, fmt.Errorf("encode samples of node %q: %w", s.Node, err)
	}
	value := e.zstd.EncodeAll(e.raw.Bytes(), make([]byte, 0, e.raw.Len()/2+64))
	rec, err := record(schemas.StreamSamples, s.Node, value, s.Len(), e.fingerprint(layout))
	if err != nil {
		return nil, err
	}
	rec.Headers = append(rec.Headers,
		kgo.RecordHeader{Key: headerLayout, Value: layout},
		kgo.RecordHeader{Key: headerBase, Value: binary.LittleEndian.AppendUint64(nil, uint64(base))})
	return rec, nil
}

func (e *SampleEncoder) fingerprint(layout []byte) uint64 {
	f, ok := e.prints[string(layout)]
	if !ok {
		f = fingerprint(sampleSchema(layout[1:]))
		e.prints[string(layout)] = f
	}
	return f
}

func check(s *schemas.Samples) error {
	n := s.Len()
	for _, m := range []int{len(s.Index), len(s.Utilization), len(s.SMActive), len(s.TensorActive), len(s.DRAMActive), len(s.MemoryUsed), len(s.Power), len(s.Energy), len(s.Temperature)} {
		if m != n {
			return fmt.Errorf("a column has %d rows, ts has %d", m, n)
		}
	}
	if len(s.Series) > 1<<16 {
		return fmt.Errorf("%d series, at most %d fit", len(s.Series), 1<<16)
	}
	for _, k := range s.Index {
		if int(k) >= len(s.Series) {
			return fmt.Errorf("a row is of series %d of %d", k, len(s.Series))
		}
	}
	return nil
}

// sort orders the rows by series, then ts: equal neighbours compress, and the
// engine walks a GPU at a time.
func (e *SampleEncoder) sort(s *schemas.Samples) {
	e.order = grow(e.order, s.Len())
	for i := range e.order {
		e.order[i] = i
	}
	slices.SortStableFunc(e.order, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.Index[a], s.Index[b]), cmp.Compare(s.TS[a], s.TS[b]))
	})
}

// rows makes the rows batch: each column in the narrowest exact form.
func (e *SampleEncoder) rows(s *schemas.Samples, base int64) (arrow.Record, []byte) {
	layout := make([]byte, 0, sampleColumnCount)
	var fields []arrow.Field
	var columns []arrow.Array
	for i := range e.cols {
		nulls := e.load(s, i, base)
		if nulls == s.Len() && i >= 2 {
			layout = append(layout, missing)
			continue
		}
		width, unit := e.narrow(i)
		data := memory.NewBufferBytes(pack(e.wide, width))
		var validity *memory.Buffer
		if nulls > 0 {
			validity = memory.NewBufferBytes(bitmap(e.null))
		}
		fields = append(fields, arrow.Field{Name: e.cols[i].name, Type: unsigned(width), Nullable: true})
		columns = append(columns, array.MakeFromData(array.NewData(unsigned(width), s.Len(), []*memory.Buffer{validity, data}, nil, nulls, 0)))
		layout = append(layout, letter(width, unit, e.cols[i].delta))
	}
	return array.NewRecord(arrow.NewSchema(fields, nil), columns, int64(s.Len())), layout
}

// load puts column i into wide and null, in message order, and counts nulls.
func (e *SampleEncoder) load(s *schemas.Samples, i int, base int64) (nulls int) {
	n := s.Len()
	e.wide, e.null = grow(e.wide, n), grow(e.null, n)
	switch i {
	case 0:
		return gather(e, s.Index, func(v uint16) (uint64, bool) { return uint64(v), true })
	case 1:
		return gather(e, s.TS, func(v int64) (uint64, bool) { return uint64(v - base), true })
	case 6:
		return gather(e, s.MemoryUsed, func(v uint64) (uint64, bool) { return v, v != schemas.Absent64 })
	case 8:
		return gather(e, s.Energy, func(v uint64) (uint64, bool) { return v, v != schemas.Absent64 })
	case 9:
		return gather(e, s.Temperature, func(v int16) (uint64, bool) { return uint64(int64(v)), v != schemas.Absent16 })
	}
	column := map[int][]uint32{2: s.Utilization, 3: s.SMActive, 4: s.TensorActive, 5: s.DRAMActive, 7: s.Power}[i]
	return gather(e, column, func(v uint32) (uint64, bool) { return uint64(v), v != schemas.Absent32 })
}

// gather reorders a column. A null repeats the value before it, which costs
// nothing as a difference.
func gather[T any](e *SampleEncoder, column []T, value func(T) (uint64, bool)) (nulls int) {
	last := uint64(0)
	for k, row := range e.order {
		v, ok := value(column[row])
		if !ok {
			v = last
			nulls++
		}
		e.wide[k], e.null[k], last = v, !ok, v
	}
	return nulls
}

// narrow divides wide by the coarsest exact unit, takes differences where the
// column wants them, and gives the width that holds the result.
func (e *SampleEncoder) narrow(i int) (width, unit int) {
	col := &e.cols[i]
	for unit = 2; unit > 0; unit-- {
		if u := col.units[unit]; u != col.units[0] && !slices.ContainsFunc(e.wide, func(v uint64) bool { return v%u != 0 }) {
			break
		}
	}
	greatest, last := uint64(0), uint64(0)
	for k, v := range e.wide {
		v /= col.units[unit]
		if col.delta {
			d := int64(v - last)
			last, v = v, uint64(d<<1)^uint64(d>>63)
		}
		e.wide[k] = v
		greatest |= v
	}
	switch {
	case greatest < 1<<8:
		return 1, unit
	case greatest < 1<<16:
		return 2, unit
	case greatest < 1<<32:
		return 4, unit
	}
	return 8, unit
}

func pack(wide []uint64, width int) []byte {
	out := make([]byte, 0, len(wide)*width)
	for _, v := range wide {
		switch width {
		case 1:
			out = append(out, byte(v))
		case 2:
			out = binary.LittleEndian.AppendUint16(out, uint16(v))
		case 4:
			out = binary.LittleEndian.AppendUint32(out, uint32(v))
		default:
			out = binary.LittleEndian.AppendUint64(out, v)
		}
	}
	return out
}

func bitmap(null []bool) []byte {
	out := make([]byte, (len(null)+7)/8)
	for i, n := range null {
		if !n {
			out[i>>3] |= 1 << (i & 7)
		}
	}
	return out
}

func seriesRecord(series []schemas.Series, form byte) arrow.Record {
	b := array.NewRecordBuilder(memory.DefaultAllocator, seriesSchema(form))
	defer b.Release()
	for i := range series {
		s := &series[i]
		switch id := b.Field(0).(type) {
		case *array.StringBuilder:
			id.Append(s.GPU)
		case *array.FixedSizeBinaryBuilder:
			u := uuid.MustParse(s.GPU[len(uuidPrefix):])
			id.Append(u[:])
		}
		b.Field(1).(*array.StringBuilder).Append(s.Slice)
		b.Field(2).(*array.StringBuilder).Append(s.Model)
		b.Field(3).(*array.Uint32Builder).Append(s.Interval)
		if s.MemoryTotal == schemas.Absent64 {
			b.Field(4).(*array.Uint64Builder).AppendNull()
		} else {
			b.Field(4).(*array.Uint64Builder).Append(s.MemoryTotal)
		}
	}
	return b.NewRecord()
}

// bare writes the record batch messages of a stream and leaves its schema out.
type bare struct {
	out    *bytes.Buffer
	schema bool // the schema has passed
}

func (*bare) Start() error { return nil }
func (*bare) Close() error { return nil }

func (w *bare) WritePayload(p ipc.Payload) error {
	if !w.schema {
		w.schema = true
		return nil
	}
	meta := p.Meta()
	defer meta.Release()
	size := (meta.Len() + 7) &^ 7
	w.out.Write(binary.LittleEndian.AppendUint32([]byte{0xFF, 0xFF, 0xFF, 0xFF}, uint32(size)))
	w.out.Write(meta.Bytes())
	w.out.Write(make([]byte, size-meta.Len()))
	return p.SerializeBody(w.out)
}

// writeMessage appends rec as one bare record batch message and releases it.
func writeMessage(out *bytes.Buffer, rec arrow.Record) error {
	defer rec.Release()
	w := ipc.NewWriterWithPayloadWriter(&bare{out: out}, ipc.WithSchema(rec.Schema()))
	if err := w.Write(rec); err != nil {
		return err
	}
	return w.Close()
}

package wire

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

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
	ts     []uint64 // ts and power likewise, for energy
	power  []uint64
	null   []bool
	layout []byte
	batch  batch
	raw    []byte
	series [seriesColumnCount]column
	cols   [sampleColumnCount]column
	prints map[string]uint64 // fingerprint by layout
}

// sampleWindow is how far back a sample message is searched for repetitions.
const sampleWindow = 512 << 10

func (e *SampleEncoder) open() (err error) {
	if e.zstd != nil {
		return nil
	}
	e.series, e.cols, e.prints = seriesColumns(), sampleColumns(), map[string]uint64{}
	// The level's own window of 8 MiB has the encoder hold 16 MiB, on every node;
	// a batch is rarely larger than this one.
	if e.zstd, err = newCompressor(zstd.SpeedBetterCompression, zstd.WithWindowSize(sampleWindow)); err != nil {
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
	base := int64(0)
	if s.Len() > 0 {
		base = slices.Min(s.TS)
	}
	e.layout, e.raw = e.layout[:0], e.raw[:0]
	e.writeSeries(s.Series)
	e.layout = append(e.layout, layoutSeparator)
	e.writeRows(s, base)
	value := e.zstd.EncodeAll(e.raw, make([]byte, 0, len(e.raw)/2+64))
	rec, err := record(schemas.StreamSamples, s.Node, value, s.Len(), e.fingerprint())
	if err != nil {
		return nil, err
	}
	rec.Headers = append(rec.Headers,
		kgo.RecordHeader{Key: headerLayout, Value: slices.Clone(e.layout)},
		kgo.RecordHeader{Key: headerBase, Value: binary.LittleEndian.AppendUint64(nil, uint64(base))})
	return rec, nil
}

// fingerprint is that of the two schemas which the layout gives.
func (e *SampleEncoder) fingerprint() uint64 {
	f, ok := e.prints[string(e.layout)]
	if !ok {
		f = fingerprint(arrowSchema(e.series[:], e.layout[:seriesColumnCount]), arrowSchema(e.cols[:], e.layout[seriesColumnCount+1:]))
		e.prints[string(e.layout)] = f
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
	if len(s.Series) > maxSeries {
		return fmt.Errorf("%d series, at most %d fit", len(s.Series), maxSeries)
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
	less := func(a, b int) int {
		return cmp.Or(cmp.Compare(s.Index[a], s.Index[b]), cmp.Compare(s.TS[a], s.TS[b]))
	}
	if !slices.IsSortedFunc(e.order, less) {
		slices.SortStableFunc(e.order, less)
	}
}

// writeSeries appends the series message and its letters.
func (e *SampleEncoder) writeSeries(series []schemas.Series) {
	e.batch.reset(len(series))
	e.null, e.wide = grow(e.null, len(series)), grow(e.wide, len(series))
	e.layout = append(e.layout, e.ids(series),
		e.texts(series, func(s *schemas.Series) string { return s.Slice }),
		e.texts(series, func(s *schemas.Series) string { return s.Model }))
	interval := func(s *schemas.Series) (uint64, bool) { return uint64(s.Interval), true }
	total := func(s *schemas.Series) (uint64, bool) { return s.MemoryTotal, s.MemoryTotal != schemas.Absent64 }
	for i, value := range []func(*schemas.Series) (uint64, bool){interval, total} {
		nulls, last := 0, uint64(0)
		for k := range series {
			v, ok := value(&series[k])
			if !ok {
				v = last
				nulls++
			}
			e.wide[k], e.null[k], last = v, !ok, v
		}
		e.integers(&e.series[3+i], nulls, false)
	}
	e.raw = e.batch.appendTo(e.raw, noDictionary)
}

// ids adds the GPU ids: as UUIDs when all of them are.
func (e *SampleEncoder) ids(series []schemas.Series) byte {
	for i := range series {
		if _, ok := parseUUID(series[i].GPU); !ok {
			e.texts(series, func(s *schemas.Series) string { return s.GPU })
			return layoutText
		}
	}
	e.batch.column(0)
	e.batch.validity(nil, 0)
	out := e.batch.buffer(16 * len(series))
	for i := range series {
		id, _ := parseUUID(series[i].GPU)
		copy(out[16*i:], id[:])
	}
	return layoutUUID
}

// texts adds a utf8 column and gives its letter. Only the ids may be all empty
// and yet be written: a series has an id.
func (e *SampleEncoder) texts(series []schemas.Series, text func(*schemas.Series) string) byte {
	size := 0
	for i := range series {
		size += len(text(&series[i]))
	}
	if size == 0 && len(e.batch.nodes) > 0 {
		return layoutMissing
	}
	e.batch.column(0)
	e.batch.validity(nil, 0)
	offsets, at := e.batch.buffer(4*(len(series)+1)), 0
	for i := range series {
		at += len(text(&series[i]))
		binary.LittleEndian.PutUint32(offsets[4*i+4:], uint32(at))
	}
	data := e.batch.buffer(size)
	for i := range series {
		data = data[copy(data, text(&series[i])):]
	}
	return layoutText
}

// writeRows appends the rows message and its letters.
func (e *SampleEncoder) writeRows(s *schemas.Samples, base int64) {
	e.batch.reset(s.Len())
	explained := false // power is known in every row
	for i := range e.cols {
		nulls := e.load(s, i, base)
		switch i {
		case 1:
			e.ts = append(e.ts[:0], e.wide...)
		case 7:
			e.power, explained = append(e.power[:0], e.wide...), nulls == 0
		}
		e.integers(&e.cols[i], nulls, i == 8 && nulls == 0 && explained)
	}
	e.raw = e.batch.appendTo(e.raw, noDictionary)
}

// integers adds the column in wide and null in its narrowest exact form, or
// leaves it out when all of it is null.
func (e *SampleEncoder) integers(col *column, nulls int, explained bool) {
	if nulls == len(e.wide) && nulls > 0 {
		e.layout = append(e.layout, layoutMissing)
		return
	}
	unit := e.divide(col)
	if col.delta {
		e.differences(explained)
	}
	all := uint64(0)
	for _, v := range e.wide {
		all |= v
	}
	width := 1
	for width < 8 && bits.Len64(all) > 8*width {
		width *= 2
	}
	e.batch.column(nulls)
	e.batch.validity(e.null, nulls)
	e.batch.integers(e.wide, width)
	e.layout = append(e.layout, letter(width, unit, col.delta, explained))
}

// divide brings wide to the coarsest unit of col that is exact.
func (e *SampleEncoder) divide(col *column) int {
	for unit := 2; unit > 0; unit-- {
		u := col.units[unit]
		if u == 1 || slices.ContainsFunc(e.wide, func(v uint64) bool { return v%u != 0 }) {
			continue
		}
		for k := range e.wide {
			e.wide[k] /= u
		}
		return unit
	}
	return 0
}

// differences replaces wide by zigzags of its differences, less what power
// explains if it does.
func (e *SampleEncoder) differences(explained bool) {
	last := uint64(0)
	for k, v := range e.wide {
		d := int64(v - last)
		if explained && k > 0 {
			d -= int64(e.power[k]) * int64(e.ts[k]-e.ts[k-1]) / microjoules
		}
		e.wide[k], last = uint64(d<<1)^uint64(d>>63), v
	}
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
	column := [sampleColumnCount][]uint32{2: s.Utilization, 3: s.SMActive, 4: s.TensorActive, 5: s.DRAMActive, 7: s.Power}[i]
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

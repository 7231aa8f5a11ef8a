package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// maxTables bounds the memory of the cache of series tables.
const maxTables = 1 << 15

// A SampleDecoder decodes batches of samples. It keeps its buffers and the
// series tables it has seen: a node sends the same one again and again. The zero
// value is ready. Not for concurrent use.
type SampleDecoder struct {
	zstd   *zstd.Decoder
	raw    []byte
	series message
	rows   message
	tables map[string][]schemas.Series
	widths []int
	cols   [sampleColumnCount]sampleColumn
}

func (d *SampleDecoder) open() (err error) {
	if d.zstd != nil {
		return nil
	}
	d.tables, d.cols = map[string][]schemas.Series{}, sampleColumns()
	if d.zstd, err = newDecompressor(); err != nil {
		return fmt.Errorf("make a zstd decoder: %w", err)
	}
	return nil
}

// Decode replaces what s holds by the rows of rec. s.Series is shared and must
// not be written; the rest of s is valid until the next call. An error wraps
// ErrCorrupt and leaves s empty.
func (d *SampleDecoder) Decode(s *schemas.Samples, rec *kgo.Record) error {
	s.Reset()
	if err := d.open(); err != nil {
		return err
	}
	if err := d.decode(s, rec); err != nil {
		s.Reset()
		return err
	}
	return nil
}

func (d *SampleDecoder) decode(s *schemas.Samples, rec *kgo.Record) error {
	rows, err := open(rec)
	if err != nil {
		return err
	}
	layout, ok := header(rec, headerLayout, -1)
	base, ok2 := header(rec, headerBase, 8)
	if !ok || !ok2 || len(layout) == 0 {
		return corrupt("no %q or %q header", headerLayout, headerBase)
	}
	form, letters := layout[0], layout[1:]
	if d.raw, err = d.zstd.DecodeAll(rec.Value, d.raw[:0]); err != nil {
		return corrupt("zstd: %v", err)
	}
	if len(d.raw) > maxValue {
		return corrupt("value of %d bytes when decompressed, more than %d", len(d.raw), maxValue)
	}
	d.widths = append(d.widths[:0], 3, 3, 3, 2, 2)
	if form == formUUID {
		d.widths[0] = 2
	}
	rest, err := d.series.parse(d.raw, d.widths)
	if err != nil {
		return fmt.Errorf("series: %w", err)
	}
	s.Node = string(rec.Key)
	if s.Series, err = d.table(d.raw[:len(d.raw)-len(rest)], form); err != nil {
		return fmt.Errorf("series: %w", err)
	}
	if err := d.decodeRows(s, rest, letters, rows); err != nil {
		return err
	}
	origin := int64(binary.LittleEndian.Uint64(base))
	for i := range s.TS {
		s.TS[i] += origin
	}
	return nil
}

// table gives the series of a message that has just been parsed. The form is
// part of the bytes: the two forms differ in their number of buffers.
func (d *SampleDecoder) table(raw []byte, form byte) ([]schemas.Series, error) {
	if t, ok := d.tables[string(raw)]; ok {
		return t, nil
	}
	if d.series.rows > 1<<16 {
		return nil, corrupt("%d series in one message", d.series.rows)
	}
	t := make([]schemas.Series, d.series.rows)
	rest := d.series.buffers[3:]
	var err error
	switch form {
	case formUUID:
		rest = d.series.buffers[2:]
		err = uuids(t, d.series.buffers[1])
	case formText:
		err = texts(d.series.buffers[1:3], len(t), func(i int, v string) { t[i].GPU = v })
	default:
		err = corrupt("GPU ids of form %q", form)
	}
	if err == nil {
		err = d.constants(t, rest)
	}
	if err != nil {
		return nil, err
	}
	if len(d.tables) >= maxTables {
		clear(d.tables)
	}
	d.tables[string(raw)] = t
	return t, nil
}

func uuids(t []schemas.Series, data []byte) error {
	if len(data) < 16*len(t) {
		return corrupt("the GPU ids are cut")
	}
	for i := range t {
		t[i].GPU = uuidPrefix + uuid.UUID(data[16*i:16*i+16]).String()
	}
	return nil
}

// constants reads the columns behind gpu: slice, gpu_model, interval, total.
func (d *SampleDecoder) constants(t []schemas.Series, b [][]byte) error {
	if err := texts(b[1:3], len(t), func(i int, v string) { t[i].Slice = v }); err != nil {
		return err
	}
	if err := texts(b[4:6], len(t), func(i int, v string) { t[i].Model = v }); err != nil {
		return err
	}
	interval, validity, total, nulls := b[7], b[8], b[9], d.series.nulls[4] > 0
	if len(interval) < 4*len(t) || len(total) < 8*len(t) || (nulls && len(validity) < (len(t)+7)/8) {
		return corrupt("a column of the series is cut")
	}
	for i := range t {
		t[i].Interval = binary.LittleEndian.Uint32(interval[4*i:])
		t[i].MemoryTotal = binary.LittleEndian.Uint64(total[8*i:])
		if nulls && isNull(validity, i) {
			t[i].MemoryTotal = schemas.Absent64
		}
	}
	return nil
}

// texts walks a utf8 column: its offsets and data.
func texts(b [][]byte, rows int, fn func(row int, v string)) error {
	offsets, data := b[0], b[1]
	if rows == 0 {
		return nil
	}
	if len(offsets) < 4*(rows+1) {
		return corrupt("the offsets of a text column are cut")
	}
	from := binary.LittleEndian.Uint32(offsets)
	for i := range rows {
		to := binary.LittleEndian.Uint32(offsets[4*i+4:])
		if to < from || int64(to) > int64(len(data)) {
			return corrupt("a text lies outside its column")
		}
		fn(i, string(data[from:to]))
		from = to
	}
	return nil
}

// decodeRows reads the rows message by its layout.
func (d *SampleDecoder) decodeRows(s *schemas.Samples, raw, layout []byte, rows int) error {
	known := layout[:min(len(layout), sampleColumnCount)]
	d.widths = d.widths[:0]
	for _, c := range known {
		if c != missing {
			d.widths = append(d.widths, 2)
		}
	}
	rest, err := d.rows.parse(raw, d.widths)
	if err != nil {
		return fmt.Errorf("rows: %w", err)
	}
	if len(rest) != 0 || d.rows.rows != rows {
		return corrupt("%d rows and %d bytes behind them, the header says %d rows", d.rows.rows, len(rest), rows)
	}
	at := 0
	for i := range sampleColumnCount {
		if i >= len(known) || known[i] == missing {
			if i < 2 {
				return corrupt("layout %q has no series or no ts", layout)
			}
			d.absent(s, i, rows)
			continue
		}
		c, ok := parseLetter(known[i], &d.cols[i])
		if !ok {
			return corrupt("layout %q has an unknown letter", layout)
		}
		if err := d.column(s, i, c, at, rows); err != nil {
			return fmt.Errorf("column %s: %w", d.cols[i].name, err)
		}
		at++
	}
	return nil
}

// column widens buffer pair at of the rows message into column i of s.
func (d *SampleDecoder) column(s *schemas.Samples, i int, c codec, at, rows int) error {
	validity, data := d.rows.buffers[2*at], d.rows.buffers[2*at+1]
	if len(data) < rows*c.width {
		return corrupt("%d bytes for %d rows of %d", len(data), rows, c.width)
	}
	nulls := d.rows.nulls[at] > 0
	if nulls && len(validity) < (rows+7)/8 {
		return corrupt("the validity bitmap is cut")
	}
	if nulls && i < 2 {
		return corrupt("a row has no series or no ts")
	}
	if !nulls {
		validity = nil
	}
	switch i {
	case 0:
		s.Index = expand(s.Index, data, validity, c, rows, 0)
		for _, k := range s.Index {
			if int(k) >= len(s.Series) {
				return corrupt("series %d of %d", k, len(s.Series))
			}
		}
	case 1:
		s.TS = expand(s.TS, data, nil, c, rows, 0)
	case 2:
		s.Utilization = expand(s.Utilization, data, validity, c, rows, schemas.Absent32)
	case 3:
		s.SMActive = expand(s.SMActive, data, validity, c, rows, schemas.Absent32)
	case 4:
		s.TensorActive = expand(s.TensorActive, data, validity, c, rows, schemas.Absent32)
	case 5:
		s.DRAMActive = expand(s.DRAMActive, data, validity, c, rows, schemas.Absent32)
	case 6:
		s.MemoryUsed = expand(s.MemoryUsed, data, validity, c, rows, schemas.Absent64)
	case 7:
		s.Power = expand(s.Power, data, validity, c, rows, schemas.Absent32)
	case 8:
		s.Energy = expand(s.Energy, data, validity, c, rows, schemas.Absent64)
	case 9:
		s.Temperature = expand(s.Temperature, data, validity, c, rows, schemas.Absent16)
	}
	return nil
}

func (d *SampleDecoder) absent(s *schemas.Samples, i, rows int) {
	switch i {
	case 2:
		s.Utilization = fill(s.Utilization, rows, schemas.Absent32)
	case 3:
		s.SMActive = fill(s.SMActive, rows, schemas.Absent32)
	case 4:
		s.TensorActive = fill(s.TensorActive, rows, schemas.Absent32)
	case 5:
		s.DRAMActive = fill(s.DRAMActive, rows, schemas.Absent32)
	case 6:
		s.MemoryUsed = fill(s.MemoryUsed, rows, schemas.Absent64)
	case 7:
		s.Power = fill(s.Power, rows, schemas.Absent32)
	case 8:
		s.Energy = fill(s.Energy, rows, schemas.Absent64)
	case 9:
		s.Temperature = fill(s.Temperature, rows, schemas.Absent16)
	}
}

type integer interface {
	~uint16 | ~uint32 | ~uint64 | ~int64 | ~int16
}

func fill[T integer](dst []T, rows int, v T) []T {
	dst = grow(dst, rows)
	for i := range dst {
		dst[i] = v
	}
	return dst
}

func grow[T any](dst []T, rows int) []T {
	if cap(dst) < rows {
		return make([]T, rows)
	}
	return dst[:rows]
}

// expand widens rows unsigned integers of c.width bytes into dst, undoing
// differences and units. Values that do not fit T wrap: they are a writer's
// nonsense, not a danger.
func expand[T integer](dst []T, data, validity []byte, c codec, rows int, absent T) []T {
	dst = grow(dst, rows)
	unit := T(c.unit)
	switch c.width {
	case 1:
		data = data[:rows]
		if c.delta {
			last := T(0)
			for i, z := range data {
				last += T(z>>1) ^ -T(z&1)
				dst[i] = last * unit
			}
		} else {
			for i, v := range data {
				dst[i] = T(v) * unit
			}
		}
	case 2:
		last := T(0)
		for i := range dst {
			z := binary.LittleEndian.Uint16(data[2*i:])
			if c.delta {
				last += T(z>>1) ^ -T(z&1)
			} else {
				last = T(z)
			}
			dst[i] = last * unit
		}
	case 4:
		last := T(0)
		for i := range dst {
			z := binary.LittleEndian.Uint32(data[4*i:])
			if c.delta {
				last += T(z>>1) ^ -T(z&1)
			} else {
				last = T(z)
			}
			dst[i] = last * unit
		}
	default:
		last := T(0)
		for i := range dst {
			z := binary.LittleEndian.Uint64(data[8*i:])
			if c.delta {
				last += T(z>>1) ^ -T(z&1)
			} else {
				last = T(z)
			}
			dst[i] = last * unit
		}
	}
	for i := range dst {
		if validity != nil && isNull(validity, i) {
			dst[i] = absent
		}
	}
	return dst
}

package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// A SampleDecoder decodes batches of samples. It keeps its buffers and the last
// series table of each node: a node sends the same one again and again. The zero
// value is ready. Not for concurrent use.
type SampleDecoder struct {
	zstd   *zstd.Decoder
	raw    []byte
	series message
	rows   message
	tables tables
	widths []int
	wide   []uint64
	cols   [sampleColumnCount]column
}

func (d *SampleDecoder) open() (err error) {
	if d.zstd != nil {
		return nil
	}
	d.cols = sampleColumns()
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
		s.Series = nil // shared: Reset would keep it to be written
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
	series, letters, ok3 := bytes.Cut(layout, []byte{layoutSeparator})
	if !ok || !ok2 || !ok3 {
		return corrupt("no %q or %q header, or not of this form", headerLayout, headerBase)
	}
	if d.raw, err = d.zstd.DecodeAll(rec.Value, d.raw[:0]); err != nil {
		return corrupt("zstd: %v", err)
	}
	if len(d.raw) > maxValue {
		return corrupt("value of %d bytes when decompressed, more than %d", len(d.raw), maxValue)
	}
	rest, err := d.decodeSeries(s, rec.Key, series)
	if err != nil {
		return fmt.Errorf("series: %w", err)
	}
	if err := d.decodeRows(s, rest, letters, rows); err != nil {
		return fmt.Errorf("rows: %w", err)
	}
	origin := int64(binary.LittleEndian.Uint64(base))
	for i := range s.TS {
		s.TS[i] += origin
	}
	return nil
}

// decodeRows reads the rows message by its layout.
func (d *SampleDecoder) decodeRows(s *schemas.Samples, raw, layout []byte, rows int) error {
	known := layout[:min(len(layout), sampleColumnCount)]
	d.widths = d.widths[:0]
	for _, c := range known {
		if c != layoutMissing {
			d.widths = append(d.widths, 2)
		}
	}
	rest, err := d.rows.parse(raw, d.widths)
	if err != nil {
		return err
	}
	if len(rest) != 0 || d.rows.rows != rows {
		return corrupt("%d rows and %d bytes behind them, the header says %d rows", d.rows.rows, len(rest), rows)
	}
	at := 0
	for i := range sampleColumnCount {
		if i >= len(known) || known[i] == layoutMissing {
			if i < 2 {
				return corrupt("layout %q has no series or no ts", layout)
			}
			absent(s, i, rows)
			continue
		}
		c, ok := parseLetter(known[i], &d.cols[i])
		if !ok {
			return corrupt("layout %q has an unknown letter", layout)
		}
		if err := d.column(s, i, c, at); err != nil {
			return fmt.Errorf("column %s: %w", d.cols[i].name, err)
		}
		at++
	}
	return nil
}

// column widens column at of the rows message into column i of s.
func (d *SampleDecoder) column(s *schemas.Samples, i int, c codec, at int) error {
	n, err := integersOf(&d.rows, at, 2*at, c)
	if err != nil {
		return err
	}
	if n.validity != nil && (i < 2 || c.explained) {
		return corrupt("a row has no value, and must have one")
	}
	switch i {
	case 0:
		s.Index = expand(s.Index, n, 0)
		return checkIndex(s.Index, len(s.Series))
	case 1:
		s.TS = expand(s.TS, n, 0)
	case 2:
		s.Utilization = expand(s.Utilization, n, schemas.Absent32)
	case 3:
		s.SMActive = expand(s.SMActive, n, schemas.Absent32)
	case 4:
		s.TensorActive = expand(s.TensorActive, n, schemas.Absent32)
	case 5:
		s.DRAMActive = expand(s.DRAMActive, n, schemas.Absent32)
	case 6:
		s.MemoryUsed = expand(s.MemoryUsed, n, schemas.Absent64)
	case 7:
		s.Power = expand(s.Power, n, schemas.Absent32)
	case 8:
		s.Energy = expand(s.Energy, n, schemas.Absent64)
		if c.explained {
			explain(s.Energy, s.TS, s.Power)
		}
	case 9:
		s.Temperature = expand(s.Temperature, n, schemas.Absent16)
	}
	return nil
}

func checkIndex(index []uint16, series int) error {
	greatest := uint16(0)
	for _, k := range index {
		greatest = max(greatest, k)
	}
	if len(index) > 0 && int(greatest) >= series {
		return corrupt("series %d of %d", greatest, series)
	}
	return nil
}

// absent fills column i of s with what was not reported.
func absent(s *schemas.Samples, i, rows int) {
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

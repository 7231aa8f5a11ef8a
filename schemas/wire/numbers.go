package wire

import (
	"slices"
	"unsafe"
)

// A word is an integer type of a column of a stream or of a declaration.
type word interface {
	~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int8 | ~int16 | ~int32 | ~int64
}

// numbers is a column of integers of any width as it lies in a stream.
type numbers struct {
	width    int // bytes
	signed   bool
	rows     int
	validity []byte // nil when there are no nulls
	values   []byte
}

// numbersOf reads the column of f, which must have so many rows.
func (b *recordBatch) numbersOf(f *field, rows int) (v numbers, err error) {
	if f.width == 0 || f.kind != typeInt && !f.encoded {
		return v, corrupt("Arrow type %d is no integer", f.kind)
	}
	v = numbers{width: f.width, signed: f.signed, rows: rows}
	v.validity, v.values, err = b.fixed(f.node, f.buffer, rows, f.width)
	return v, err
}

// inPlace gives the column as the memory that it lies in, if that is of type W.
func inPlace[W word](v *numbers) ([]W, bool) {
	var zero W
	if v.width != int(unsafe.Sizeof(zero)) || v.signed != (zero-1 < zero) {
		return nil, false
	}
	return cast[W](v.values, v.rows), true
}

// converted gives the column as W in dst's memory. A value that does not fit is
// an error, unless it is null.
func converted[W word](dst []W, v *numbers) ([]W, error) {
	dst = slices.Grow(dst[:0], v.rows)[:v.rows]
	var fits bool
	switch {
	case v.signed && v.width == 1:
		fits = convert(dst, cast[int8](v.values, v.rows), v.validity)
	case v.signed && v.width == 2:
		fits = convert(dst, cast[int16](v.values, v.rows), v.validity)
	case v.signed && v.width == 4:
		fits = convert(dst, cast[int32](v.values, v.rows), v.validity)
	case v.signed:
		fits = convert(dst, cast[int64](v.values, v.rows), v.validity)
	case v.width == 1:
		fits = convert(dst, cast[uint8](v.values, v.rows), v.validity)
	case v.width == 2:
		fits = convert(dst, cast[uint16](v.values, v.rows), v.validity)
	case v.width == 4:
		fits = convert(dst, cast[uint32](v.values, v.rows), v.validity)
	default:
		fits = convert(dst, cast[uint64](v.values, v.rows), v.validity)
	}
	if !fits {
		return dst[:0], corrupt("a value does not fit its column")
	}
	return dst, nil
}

func convert[W, N word](dst []W, src []N, validity []byte) bool {
	for i, v := range src {
		w := W(v)
		if dst[i] = w; (N(w) != v || (w < 0) != (v < 0)) && !null(validity, i) {
			return false
		}
	}
	return true
}

// setNulls puts v where the bitmap says null.
func setNulls[W word](dst []W, validity []byte, v W) {
	if validity == nil {
		return
	}
	for i := range dst {
		if null(validity, i) {
			dst[i] = v
		}
	}
}

// repeat makes n values v in dst's memory.
func repeat[W word](dst []W, n int, v W) []W {
	dst = slices.Grow(dst[:0], n)[:n]
	for i := range dst {
		dst[i] = v
	}
	return dst
}

// null reports whether row i is null; without a bitmap none is.
func null(validity []byte, i int) bool { return validity != nil && isNull(validity, i) }

// cast reads n values in place. The caller has checked the length; b lies on a
// multiple of 8 bytes because every part of a stream does.
func cast[T any](b []byte, n int) []T {
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), n)
}

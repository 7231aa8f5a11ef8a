package wire

import "encoding/binary"

type integer interface {
	~uint16 | ~uint32 | ~uint64 | ~int64 | ~int16
}

// integers is a column of unsigned integers as it lies in a message.
type integers struct {
	codec    codec
	rows     int
	data     []byte // at least rows × codec.width
	validity []byte // nil when there are no nulls
}

// integersOf takes column c of m, whose first buffer is b, as integers.
func integersOf(m *message, c, b int, k codec) (integers, error) {
	n := integers{codec: k, rows: m.rows, data: m.buffers[b+1]}
	if len(n.data) < m.rows*k.width {
		return n, corrupt("%d bytes for %d rows of %d", len(n.data), m.rows, k.width)
	}
	if m.nulls[c] == 0 {
		return n, nil
	}
	if n.validity = m.buffers[b]; len(n.validity) < (m.rows+7)/8 {
		return n, corrupt("the validity bitmap is cut")
	}
	return n, nil
}

// expand replaces dst by the values of n, undoing differences and units. Values
// that do not fit T wrap: they are a writer's nonsense, not a danger.
func expand[T integer](dst []T, n integers, absent T) []T {
	dst = grow(dst, n.rows)
	if n.codec.delta {
		accumulate(dst, n.data, n.codec.width, T(n.codec.unit))
	} else {
		widen(dst, n.data, n.codec.width, T(n.codec.unit))
	}
	if n.validity != nil {
		for i := range dst {
			if isNull(n.validity, i) {
				dst[i] = absent
			}
		}
	}
	return dst
}

// widen sets dst to unsigned integers of width bytes, times unit.
func widen[T integer](dst []T, data []byte, width int, unit T) {
	switch width {
	case 1:
		for i, v := range data[:len(dst)] {
			dst[i] = T(v) * unit
		}
	case 2:
		for i := range dst {
			dst[i] = T(binary.LittleEndian.Uint16(data[2*i:])) * unit
		}
	case 4:
		for i := range dst {
			dst[i] = T(binary.LittleEndian.Uint32(data[4*i:])) * unit
		}
	default:
		for i := range dst {
			dst[i] = T(binary.LittleEndian.Uint64(data[8*i:])) * unit
		}
	}
}

// accumulate sets dst to the running sums of zigzags of width bytes, times unit.
// Each is undone in its own width: T may be narrower.
func accumulate[T integer](dst []T, data []byte, width int, unit T) {
	last := T(0)
	switch width {
	case 1:
		for i, z := range data[:len(dst)] {
			last += (T(z>>1) ^ -T(z&1)) * unit
			dst[i] = last
		}
	case 2:
		for i := range dst {
			z := binary.LittleEndian.Uint16(data[2*i:])
			last += (T(z>>1) ^ -T(z&1)) * unit
			dst[i] = last
		}
	case 4:
		for i := range dst {
			z := binary.LittleEndian.Uint32(data[4*i:])
			last += (T(z>>1) ^ -T(z&1)) * unit
			dst[i] = last
		}
	default:
		for i := range dst {
			z := binary.LittleEndian.Uint64(data[8*i:])
			last += (T(z>>1) ^ -T(z&1)) * unit
			dst[i] = last
		}
	}
}

// explain adds to each value of energy what power drew since the row before it,
// for every row after it: energy was written less that.
func explain(energy []uint64, ts []int64, power []uint32) {
	drawn := int64(0)
	for i := 1; i < len(energy); i++ {
		drawn += int64(power[i]) * (ts[i] - ts[i-1]) / microjoules
		energy[i] += uint64(drawn)
	}
}

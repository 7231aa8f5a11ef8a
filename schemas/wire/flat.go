package wire

import "encoding/binary"

// flat is the flatbuffer metadata of a message. Every access is checked: out of
// bounds reads give 0 and set bad, so that a caller asks once, at the end of a
// step, instead of after each read.
type flat struct {
	b   []byte
	bad bool
}

func (f *flat) u8(at int) byte {
	if uint(at) >= uint(len(f.b)) {
		f.bad = true
		return 0
	}
	return f.b[at]
}

func (f *flat) u16(at int) int {
	if at < 0 || at > len(f.b)-2 {
		f.bad = true
		return 0
	}
	return int(binary.LittleEndian.Uint16(f.b[at:]))
}

func (f *flat) i32(at int) int {
	if at < 0 || at > len(f.b)-4 {
		f.bad = true
		return 0
	}
	return int(int32(binary.LittleEndian.Uint32(f.b[at:])))
}

func (f *flat) i64(at int) int64 {
	if at < 0 || at > len(f.b)-8 {
		f.bad = true
		return 0
	}
	return int64(binary.LittleEndian.Uint64(f.b[at:]))
}

// field is the position of field k of the table at t, 0 when it has its default.
func (f *flat) field(t, k int) int {
	vtable := t - f.i32(t)
	if 4+2*k+2 > f.u16(vtable) {
		return 0
	}
	if o := f.u16(vtable + 4 + 2*k); o != 0 {
		return t + o
	}
	return 0
}

// follow is the position that the reference in field k of table t points to, 0
// when there is none. References point forward only, so walks end.
func (f *flat) follow(t, k int) int {
	at := f.field(t, k)
	if at == 0 {
		return 0
	}
	o := f.i32(at)
	if o <= 0 {
		f.bad = true
		return 0
	}
	return at + o
}

// vector gives count and first element of the vector in field k of table t,
// whose elements have size bytes. A missing vector is empty.
func (f *flat) vector(t, k, size int) (count, first int) {
	at := f.follow(t, k)
	if at == 0 {
		return 0, 0
	}
	count, first = f.i32(at), at+4
	if f.bad || count < 0 || count > (len(f.b)-first)/size {
		f.bad = true
		return 0, 0
	}
	return count, first
}

// text is the string in field k of table t. It shares the buffer.
func (f *flat) text(t, k int) []byte {
	n, at := f.vector(t, k, 1)
	return f.b[at : at+n]
}

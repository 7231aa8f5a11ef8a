package spool

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	magic      = "GMsp"
	headerSize = 36
	checked    = headerSize - 4 // bytes that the header's own check covers
)

// A header stands before each record.
type header struct {
	length uint32 // of the record, bytes
	seq    uint64 // of the record in its stream
	before uint64 // rows ever written to the stream before it
	rows   uint32
	sum    uint32 // CRC32C of the record
}

// end is the number of rows ever written, the record's own included.
func (h header) end() int64 { return int64(h.before) + int64(h.rows) }

// size of header and record.
func (h header) size() int64 { return headerSize + int64(h.length) }

func checksum(seed uint32, b []byte) uint32 {
	return crc32.Update(seed, crc32.MakeTable(crc32.Castagnoli), b)
}

// append writes h behind b; salt is the checksum of the stream's name, so that a
// header of another stream does not check.
func (h header) append(b []byte, salt uint32) []byte {
	from := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, h.length)
	b = binary.LittleEndian.AppendUint64(b, h.seq)
	b = binary.LittleEndian.AppendUint64(b, h.before)
	b = binary.LittleEndian.AppendUint32(b, h.rows)
	b = binary.LittleEndian.AppendUint32(b, h.sum)
	return binary.LittleEndian.AppendUint32(b, checksum(salt, b[from:]))
}

// parse reads the header at the front of b.
func parse(b []byte, salt uint32) (h header, ok bool) {
	if len(b) < headerSize || string(b[:len(magic)]) != magic || binary.LittleEndian.Uint32(b[checked:]) != checksum(salt, b[:checked]) {
		return h, false
	}
	return header{
		length: binary.LittleEndian.Uint32(b[4:]), seq: binary.LittleEndian.Uint64(b[8:]), before: binary.LittleEndian.Uint64(b[16:]),
		rows: binary.LittleEndian.Uint32(b[24:]), sum: binary.LittleEndian.Uint32(b[28:]),
	}, true
}

// resume finds the first whole record in b, behind a damaged place. It gives the
// length of b where there is none.
func resume(b []byte, salt uint32) (at int) {
	for at < len(b) {
		i := bytes.Index(b[at:], []byte(magic))
		if i < 0 {
			return len(b)
		}
		at += i
		h, ok := parse(b[at:], salt)
		if ok && h.size() <= int64(len(b)-at) && checksum(0, b[at+headerSize:int64(at)+h.size()]) == h.sum {
			return at
		}
		at++
	}
	return at
}

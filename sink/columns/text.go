package columns

import (
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// text is LowCardinality(String): the union of the dictionaries that were
// appended, and an index per row.
type text struct {
	entries map[string]uint32
	dict    proto.ColStr
	index   []uint32
	remap   []uint32 // entry of the appended dictionary → entry of the union

	narrow8  proto.ColUInt8 // index in the width that the dictionary needs, made when encoded
	narrow16 proto.ColUInt16
}

func newText() *text { return &text{entries: map[string]uint32{}} }

func (t *text) reset() {
	clear(t.entries)
	t.dict.Reset()
	t.index = t.index[:0]
}

// entry finds or makes the entry of a string.
func (t *text) entry(s string) uint32 {
	i, ok := t.entries[s]
	if !ok {
		i = uint32(len(t.entries))
		t.entries[strings.Clone(s)] = i // s may pin the memory of its whole record
		t.dict.Append(s)
	}
	return i
}

// learn maps a dictionary to the union.
func (t *text) learn(dict []string) {
	t.remap = t.remap[:0]
	for _, s := range dict {
		t.remap = append(t.remap, t.entry(s))
	}
}

// appendIndex appends rows of the dictionary that was learnt last.
func (t *text) appendIndex(rows []uint32) {
	for _, r := range rows {
		t.index = append(t.index, t.remap[r])
	}
}

// appendOne appends one row of the dictionary that was learnt last.
func (t *text) appendOne(row uint32) { t.index = append(t.index, t.remap[row]) }

// repeat appends one string n times.
func (t *text) repeat(s string, n int) {
	e := t.entry(s)
	for range n {
		t.index = append(t.index, e)
	}
}

func (t *text) Type() proto.ColumnType {
	return proto.ColumnTypeLowCardinality.Sub(proto.ColumnTypeString)
}

func (t *text) Rows() int { return len(t.index) }

// EncodeState, EncodeColumn and WriteColumn send the index in the narrowest
// width: a byte per row for most columns.
func (t *text) EncodeState(b *proto.Buffer) {
	proto.ColLowCardinalityRaw{Index: &t.dict}.EncodeState(b)
}

func (t *text) EncodeColumn(b *proto.Buffer) { t.raw().EncodeColumn(b) }

func (t *text) WriteColumn(w *proto.Writer) { t.raw().WriteColumn(w) }

func (t *text) raw() proto.ColLowCardinalityRaw {
	raw := proto.ColLowCardinalityRaw{Index: &t.dict}
	switch n := len(t.entries); {
	case n <= 1<<8:
		t.narrow8 = t.narrow8[:0]
		for _, i := range t.index {
			t.narrow8 = append(t.narrow8, uint8(i))
		}
		raw.Key, raw.Keys8 = proto.KeyUInt8, t.narrow8
	case n <= 1<<16:
		t.narrow16 = t.narrow16[:0]
		for _, i := range t.index {
			t.narrow16 = append(t.narrow16, uint16(i))
		}
		raw.Key, raw.Keys16 = proto.KeyUInt16, t.narrow16
	default:
		raw.Key, raw.Keys32 = proto.KeyUInt32, t.index
	}
	return raw
}

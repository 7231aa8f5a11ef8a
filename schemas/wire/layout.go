package wire

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/uuid"
)

// The layout of a samples record: a letter for each of seriesColumns, '|', a
// letter for each of sampleColumns. '-' stands for a column that no row reports:
// it is not in the message. A text is 't' (utf8); GPU ids may be 'u': 16 bytes
// each of a UUID behind uuidPrefix, since hex digits hardly compress. An integer
// is one letter, k = its distance from 'a', or from 'A' in upper case:
//
//	k&3     width: 1, 2, 4 or 8 bytes, unsigned
//	k>>2&1  differences: v[i] = v[i-1] + zigzag(x[i]), v[-1] = 0
//	k>>3    unit: index into the column's units; the value is v × unit
//
// Upper case is energy less what power explains:
//
//	v[i] = v[i-1] + zigzag(x[i]) + power[i]·(ts[i] - ts[i-1]) / 10⁶, ts[-1] = ts[0]
//
// with power in mW, ts in ms, the quotient cut towards zero, and all of it modulo
// 2⁶⁴. zigzag(x) is x>>1 ^ -(x&1). Columns are only ever appended to either side;
// a reader skips letters beyond those it knows.
const (
	layoutMissing   = '-'
	layoutText      = 't'
	layoutUUID      = 'u'
	layoutSeparator = '|'
)

// microjoules is how many mW·ms make a joule.
const microjoules = 1_000_000

// A codec is an integer's letter taken apart.
type codec struct {
	width     int    // bytes
	delta     bool   // differences
	explained bool   // differences less what power explains
	unit      uint64 // in the column's canonical unit
}

// A column is a column of one of the two messages of a samples record.
type column struct {
	name  string
	text  bool
	delta bool      // written as differences
	units [3]uint64 // exact alternatives, finest first
}

const (
	seriesColumnCount = 5
	sampleColumnCount = 10
)

// seriesColumns are the columns of schemas.Series in declaration order.
func seriesColumns() [seriesColumnCount]column {
	return [seriesColumnCount]column{
		{name: "gpu", text: true},
		{name: "slice", text: true},
		{name: "gpu_model", text: true},
		{name: "interval", units: [3]uint64{1, 10, 1000}},
		{name: "memory_total_bytes", units: [3]uint64{1, 1 << 10, 1 << 20}},
	}
}

// sampleColumns are the columns of schemas.Samples in declaration order; ts
// counts from the base header.
func sampleColumns() [sampleColumnCount]column {
	one := [3]uint64{1, 1, 1}
	share := [3]uint64{1, 100, 10_000}
	return [sampleColumnCount]column{
		{name: "series", delta: true, units: one},
		{name: "ts", delta: true, units: [3]uint64{1, 10, 1000}},
		{name: "utilization", units: share},
		{name: "sm_active", delta: true, units: share},
		{name: "tensor_active", delta: true, units: share},
		{name: "dram_active", delta: true, units: share},
		{name: "memory_used_bytes", delta: true, units: [3]uint64{1, 1 << 10, 1 << 20}},
		{name: "power", delta: true, units: [3]uint64{1, 10, 100}},
		{name: "energy_joules", delta: true, units: one},
		{name: "temperature_celsius", delta: true, units: one},
	}
}

func letter(width, unit int, delta, explained bool) byte {
	k := map[int]int{1: 0, 2: 1, 4: 2, 8: 3}[width] | unit<<3
	if delta {
		k |= 4
	}
	if explained {
		return byte('A' + k)
	}
	return byte('a' + k)
}

// parseLetter is the reverse of letter; ok is false for what letter never gives.
func parseLetter(c byte, col *column) (codec, bool) {
	k, explained := int(c)-'a', false
	if c < 'a' {
		k, explained = int(c)-'A', true
	}
	if k < 0 || k >= 24 || col.text || (explained && k&4 == 0) {
		return codec{}, false
	}
	return codec{width: 1 << (k & 3), delta: k>>2&1 == 1, explained: explained, unit: col.units[k>>3]}, true
}

// arrowSchema is the Arrow schema of a message of columns with these letters.
func arrowSchema(columns []column, letters []byte) *arrow.Schema {
	fields := make([]arrow.Field, 0, len(columns))
	for i := range columns[:min(len(columns), len(letters))] {
		var t arrow.DataType
		switch c := letters[i]; {
		case c == layoutMissing:
			continue
		case columns[i].text && c == layoutUUID:
			t = &arrow.FixedSizeBinaryType{ByteWidth: 16}
		case columns[i].text:
			t = arrow.BinaryTypes.String
		default:
			k, ok := parseLetter(c, &columns[i])
			if !ok {
				continue
			}
			t = unsigned(k.width)
		}
		fields = append(fields, arrow.Field{Name: columns[i].name, Type: t, Nullable: true})
	}
	return arrow.NewSchema(fields, nil)
}

func unsigned(width int) arrow.DataType {
	switch width {
	case 1:
		return arrow.PrimitiveTypes.Uint8
	case 2:
		return arrow.PrimitiveTypes.Uint16
	case 4:
		return arrow.PrimitiveTypes.Uint32
	}
	return arrow.PrimitiveTypes.Uint64
}

// uuidPrefix stands before the UUID in NVIDIA's ids of whole GPUs.
const uuidPrefix = "GPU-"

// parseUUID reads a GPU id that is uuidPrefix and the canonical text of a UUID,
// which uuid.UUID.String gives back.
func parseUUID(id string) (uuid.UUID, bool) {
	text, ok := strings.CutPrefix(id, uuidPrefix)
	if !ok || len(text) != 36 || strings.ToLower(text) != text {
		return uuid.UUID{}, false
	}
	u, err := uuid.Parse(text)
	return u, err == nil
}

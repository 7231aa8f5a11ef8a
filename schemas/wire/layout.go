package wire

import (
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/google/uuid"

	"github.com/gpumeter/gpumeter/schemas"
)

// A layout is how the series name their GPUs (formText or formUUID), then a
// letter a column, in the order of sampleColumns, or '-' where no row reports the
// column, which is then not in the message. With k = letter - 'a':
//
//	k&3     width: 1, 2, 4 or 8 bytes, unsigned
//	k>>2&1  1: zigzag differences: v[i] = v[i-1] + (z[i]>>1 ^ -(z[i]&1)), v[-1] = 0
//	k>>3    unit: index into the column's units, coarsest that is exact
//
// Columns are only ever appended; a reader skips letters beyond those it knows.
const missing = '-'

// Forms of GPU ids in the series message. Hex digits of a random UUID hardly
// compress: as 16 bytes each they weigh less than half.
const (
	formText = 't' // utf8
	formUUID = 'u' // "GPU-" and the canonical text of 16 bytes, all of them
)

// A codec is one letter taken apart.
type codec struct {
	width int // bytes
	delta bool
	unit  uint64 // in the column's canonical unit
}

// A sampleColumn is a column of the rows message.
type sampleColumn struct {
	name  string
	delta bool      // written as differences
	units [3]uint64 // exact alternatives, finest first
}

const sampleColumnCount = 10

// sampleColumns are the columns of schemas.Samples in declaration order; ts
// counts from the base header. An unsigned column holds value / unit.
func sampleColumns() [sampleColumnCount]sampleColumn {
	one := [3]uint64{1, 1, 1}
	share := [3]uint64{1, 100, 10_000}
	return [sampleColumnCount]sampleColumn{
		{"series", false, one},
		{"ts", true, [3]uint64{1, 10, 1000}},
		{"utilization", false, share},
		{"sm_active", true, share},
		{"tensor_active", true, share},
		{"dram_active", true, share},
		{"memory_used_bytes", true, [3]uint64{1, 1 << 10, 1 << 20}},
		{"power", true, [3]uint64{1, 10, 100}},
		{"energy_joules", true, one},
		{"temperature_celsius", true, one},
	}
}

func letter(width, unit int, delta bool) byte {
	k := map[int]int{1: 0, 2: 1, 4: 2, 8: 3}[width] | unit<<3
	if delta {
		k |= 4
	}
	return byte('a' + k)
}

// parseLetter is the reverse of letter; ok is false for what letter never gives.
func parseLetter(c byte, col *sampleColumn) (codec, bool) {
	k := int(c) - 'a'
	if k < 0 || k >= 24 {
		return codec{}, false
	}
	return codec{width: 1 << (k & 3), delta: k>>2&1 == 1, unit: col.units[k>>3]}, true
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

// sampleSchema is the Arrow schema of a rows message with this layout.
func sampleSchema(layout []byte) *arrow.Schema {
	var fields []arrow.Field
	for i, col := range sampleColumns() {
		if i >= len(layout) || layout[i] == missing {
			continue
		}
		if c, ok := parseLetter(layout[i], &col); ok {
			fields = append(fields, arrow.Field{Name: col.name, Type: unsigned(c.width), Nullable: true})
		}
	}
	return arrow.NewSchema(fields, nil)
}

// seriesSchema is the Arrow schema of the series message.
func seriesSchema(form byte) *arrow.Schema {
	var gpu arrow.DataType = arrow.BinaryTypes.String
	if form == formUUID {
		gpu = &arrow.FixedSizeBinaryType{ByteWidth: 16}
	}
	return arrow.NewSchema([]arrow.Field{
		{Name: "gpu", Type: gpu},
		{Name: "slice", Type: arrow.BinaryTypes.String},
		{Name: "gpu_model", Type: arrow.BinaryTypes.String},
		{Name: "interval", Type: arrow.PrimitiveTypes.Uint32},
		{Name: "memory_total_bytes", Type: arrow.PrimitiveTypes.Uint64, Nullable: true},
	}, nil)
}

// uuidPrefix stands before the UUID in NVIDIA's ids of whole GPUs.
const uuidPrefix = "GPU-"

// formOf is formUUID when every GPU id is uuidPrefix and a canonical UUID.
func formOf(series []schemas.Series) byte {
	for i := range series {
		id, ok := strings.CutPrefix(series[i].GPU, uuidPrefix)
		if !ok {
			return formText
		}
		if u, err := uuid.Parse(id); err != nil || u.String() != id {
			return formText
		}
	}
	return formUUID
}

package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// A CostEncoder encodes batches of cost facts; it keeps its buffers. The zero
// value is ready. Not for concurrent use.
type CostEncoder struct {
	zstd    *zstd.Encoder
	widths  []byte                // bytes of an index, by text column
	schemas map[string]costStream // by widths
	batch   batch
	dict    batch
	raw     []byte
}

// A costStream is how a stream with certain widths begins.
type costStream struct {
	message []byte // the schema message
	print   uint64
}

func (e *CostEncoder) open() (err error) {
	if e.zstd != nil {
		return nil
	}
	e.schemas = map[string]costStream{}
	if e.zstd, err = newCompressor(zstd.SpeedFastest); err != nil {
		return fmt.Errorf("make a zstd encoder: %w", err)
	}
	return nil
}

// Encode makes one record of c. The caller sets Key and Partition. The columns
// are written as they lie in memory, texts as dictionaries with the narrowest
// index, absent values null. It is an error when columns differ in length.
func (e *CostEncoder) Encode(c *schemas.Costs) (*kgo.Record, error) {
	if err := e.open(); err != nil {
		return nil, err
	}
	e.widths = e.widths[:0]
	err := costFields(c, func(name string, field any) error {
		if t, ok := field.(*schemas.Text); ok {
			e.widths = append(e.widths, indexWidth(t))
		}
		return checkCosts(c, name, field)
	})
	if err != nil {
		return nil, fmt.Errorf("encode cost: %w", err)
	}
	begin, err := e.begin()
	if err != nil {
		return nil, fmt.Errorf("encode cost: %w", err)
	}
	e.raw = append(e.raw[:0], begin.message...)
	e.batch.reset(c.Len())
	texts := 0
	_ = costFields(c, func(name string, field any) error { // checked above
		if t, ok := field.(*schemas.Text); ok {
			e.text(t, texts)
			texts++
		} else {
			e.column(c, name, field)
		}
		return nil
	})
	e.raw = append(e.batch.appendTo(e.raw, noDictionary), endOfStream...)
	value := e.zstd.EncodeAll(e.raw, make([]byte, 0, len(e.raw)/8+256))
	return record(schemas.StreamCost, "", value, c.Len(), begin.print)
}

// endOfStream is the mark behind the last message of an Arrow stream.
const endOfStream = "\xFF\xFF\xFF\xFF\x00\x00\x00\x00"

// begin makes the schema message of the present widths, once.
func (e *CostEncoder) begin() (costStream, error) {
	if s, ok := e.schemas[string(e.widths)]; ok {
		return s, nil
	}
	schema := costSchema(e.widths)
	var out bytes.Buffer
	if err := ipc.NewWriter(&out, ipc.WithSchema(schema)).Close(); err != nil {
		return costStream{}, err
	}
	s := costStream{message: bytes.TrimSuffix(out.Bytes(), []byte(endOfStream)), print: fingerprint(schema)}
	e.schemas[string(e.widths)] = s
	return s, nil
}

// indexWidth is how many bytes an index of t needs.
func indexWidth(t *schemas.Text) byte {
	switch n := len(t.Dict); {
	case n <= 1<<8:
		return 1
	case n <= 1<<16:
		return 2
	}
	return 4
}

// checkCosts checks that a column has the rows of c and texts that are there: an
// index that is cut or dangles would be another text, silently.
func checkCosts(c *schemas.Costs, name string, field any) error {
	rows := 0
	switch f := field.(type) {
	case *schemas.Text:
		rows = len(f.Index)
		for _, k := range f.Index {
			if int(k) >= len(f.Dict) {
				return fmt.Errorf("text %d of %d", k, len(f.Dict))
			}
		}
	case *[]int64:
		rows = len(*f)
	case *[]uint64:
		rows = len(*f)
	case *[]uint8:
		rows = len(*f)
	case *[]uint32:
		rows = len(*f)
	}
	if name == runsColumn {
		if rows = len(c.RunsEnd); rows > 0 && int(c.RunsEnd[rows-1]) != len(c.Runs) {
			return fmt.Errorf("%d ends, the last row's end is %d", len(c.Runs), c.RunsEnd[rows-1])
		}
	}
	if rows != c.Len() {
		return fmt.Errorf("%d rows, window_start has %d", rows, c.Len())
	}
	return nil
}

// text adds text column t: its dictionary, number id, and its indices.
func (e *CostEncoder) text(t *schemas.Text, id int) {
	e.dict.reset(len(t.Dict))
	e.dict.column(0)
	e.dict.buffer(0)
	offsets, at := e.dict.buffer(4*(len(t.Dict)+1)), 0
	for i, s := range t.Dict {
		at += len(s)
		binary.LittleEndian.PutUint32(offsets[4*i+4:], uint32(at))
	}
	data := e.dict.buffer(at)
	for _, s := range t.Dict {
		data = data[copy(data, s):]
	}
	e.raw = e.dict.appendTo(e.raw, id)

	width := int(e.widths[id])
	e.batch.column(0)
	e.batch.buffer(0)
	out := e.batch.buffer(width * len(t.Index))
	switch width {
	case 1:
		for i, k := range t.Index {
			out[i] = byte(k)
		}
	case 2:
		for i, k := range t.Index {
			binary.LittleEndian.PutUint16(out[2*i:], uint16(k))
		}
	default:
		copy(out, bytesOf(t.Index))
	}
}

// column adds a column that is no text.
func (e *CostEncoder) column(c *schemas.Costs, name string, field any) {
	switch f := field.(type) {
	case *[]int64:
		fixed(&e.batch, *f, nil)
	case *[]uint8:
		e.batch.column(0)
		e.batch.buffer(0)
		copy(e.batch.buffer(len(*f)), *f)
	case *[]uint64:
		absent := schemas.Absent64
		fixed(&e.batch, *f, &absent)
	case *[]uint32:
		if name == runsColumn {
			e.runs(c)
			return
		}
		absent := schemas.Absent32
		fixed(&e.batch, *f, &absent)
	}
}

// fixed adds a column; a value that equals absent is null.
func fixed[T int64 | uint64 | uint32](b *batch, column []T, absent *T) {
	nulls := 0
	if absent != nil {
		for _, v := range column {
			if v == *absent {
				nulls++
			}
		}
	}
	b.column(nulls)
	if nulls == 0 {
		b.buffer(0)
	} else {
		bits := b.buffer((len(column) + 7) / 8)
		for i, v := range column {
			if v != *absent {
				bits[i>>3] |= 1 << (i & 7)
			}
		}
	}
	raw := bytesOf(column)
	copy(b.buffer(len(raw)), raw)
}

// runs adds the list column.
func (e *CostEncoder) runs(c *schemas.Costs) {
	e.batch.column(0)
	e.batch.buffer(0)
	copy(e.batch.buffer(4 * (len(c.RunsEnd) + 1))[4:], bytesOf(c.RunsEnd))
	e.batch.child(len(c.Runs), 0)
	e.batch.buffer(0)
	copy(e.batch.buffer(4*len(c.Runs)), bytesOf(c.Runs))
}

// runsColumn is the one list column of schemas.Costs.
const runsColumn = "runs"

// costFields calls fn with each declared column of c.
func costFields(c *schemas.Costs, fn func(name string, field any) error) error {
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		name, ok := v.Type().Field(i).Tag.Lookup("col")
		if !ok {
			continue
		}
		if err := fn(name, v.Field(i).Addr().Interface()); err != nil {
			return fmt.Errorf("column %s: %w", name, err)
		}
	}
	return nil
}

// costSchema is the schema with these bytes per index of each text column, by
// default 4.
func costSchema(widths []byte) *arrow.Schema {
	var fields []arrow.Field
	_ = costFields(&schemas.Costs{}, func(name string, field any) error {
		var t arrow.DataType
		switch field.(type) {
		case *schemas.Text:
			index := unsigned(4)
			if len(widths) > 0 {
				index, widths = unsigned(int(widths[0])), widths[1:]
			}
			t = &arrow.DictionaryType{IndexType: index, ValueType: arrow.BinaryTypes.String}
		case *[]int64:
			t = arrow.PrimitiveTypes.Int64
		case *[]uint64:
			t = arrow.PrimitiveTypes.Uint64
		case *[]uint32:
			t = arrow.PrimitiveTypes.Uint32
		case *[]uint8:
			t = arrow.PrimitiveTypes.Uint8
		}
		if name == runsColumn {
			t = arrow.ListOfNonNullable(arrow.PrimitiveTypes.Uint32)
		}
		fields = append(fields, arrow.Field{Name: name, Type: t, Nullable: true})
		return nil
	})
	return arrow.NewSchema(fields, nil)
}

// bytesOf is the memory of a column: Arrow's layout on a little-endian machine.
func bytesOf[T int64 | uint64 | uint32](column []T) []byte {
	if len(column) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&column[0])), len(column)*int(unsafe.Sizeof(column[0])))
}

package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// A CostEncoder encodes batches of cost facts; it keeps its buffers. The zero
// value is ready. Not for concurrent use.
type CostEncoder struct {
	zstd   *zstd.Encoder
	schema *arrow.Schema
	print  uint64
	raw    bytes.Buffer
}

func (e *CostEncoder) open() (err error) {
	if e.zstd != nil {
		return nil
	}
	e.schema = costSchema()
	e.print = fingerprint(e.schema)
	if e.zstd, err = newCompressor(zstd.SpeedFastest); err != nil {
		return fmt.Errorf("make a zstd encoder: %w", err)
	}
	return nil
}

// Encode makes one record of c. The caller sets Key and Partition. The columns
// are written as they lie in memory: texts as dictionaries, absent values null.
func (e *CostEncoder) Encode(c *schemas.Costs) (*kgo.Record, error) {
	if err := e.open(); err != nil {
		return nil, err
	}
	columns, err := costColumns(c)
	if err != nil {
		return nil, fmt.Errorf("encode cost: %w", err)
	}
	rec := array.NewRecord(e.schema, columns, int64(c.Len()))
	defer rec.Release()
	for _, col := range columns {
		col.Release()
	}
	e.raw.Reset()
	w := ipc.NewWriter(&e.raw, ipc.WithSchema(e.schema))
	if err := w.Write(rec); err != nil {
		return nil, fmt.Errorf("encode cost: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("encode cost: %w", err)
	}
	value := e.zstd.EncodeAll(e.raw.Bytes(), make([]byte, 0, e.raw.Len()/8+256))
	return record(schemas.StreamCost, "", value, c.Len(), e.print)
}

// textType is a dictionary with 32-bit indices: narrower ones overflow silently.
func textType() *arrow.DictionaryType {
	return &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint32, ValueType: arrow.BinaryTypes.String}
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

func costSchema() *arrow.Schema {
	var fields []arrow.Field
	_ = costFields(&schemas.Costs{}, func(name string, field any) error {
		var t arrow.DataType
		switch field.(type) {
		case *schemas.Text:
			t = textType()
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

func costColumns(c *schemas.Costs) ([]arrow.Array, error) {
	n := c.Len()
	var columns []arrow.Array
	err := costFields(c, func(name string, field any) error {
		if name == runsColumn {
			a, err := runsArray(c)
			columns = append(columns, a)
			return err
		}
		var a arrow.Array
		length := 0
		switch f := field.(type) {
		case *schemas.Text:
			a, length = textArray(f), len(f.Index)
		case *[]int64:
			a, length = fixed(arrow.PrimitiveTypes.Int64, bytesOf(*f), len(*f), nil, 0), len(*f)
		case *[]uint8:
			a, length = fixed(arrow.PrimitiveTypes.Uint8, *f, len(*f), nil, 0), len(*f)
		case *[]uint32:
			validity, nulls := present(*f, schemas.Absent32)
			a, length = fixed(arrow.PrimitiveTypes.Uint32, bytesOf(*f), len(*f), validity, nulls), len(*f)
		case *[]uint64:
			validity, nulls := present(*f, schemas.Absent64)
			a, length = fixed(arrow.PrimitiveTypes.Uint64, bytesOf(*f), len(*f), validity, nulls), len(*f)
		}
		if length != n {
			return fmt.Errorf("%d rows, window_start has %d", length, n)
		}
		columns = append(columns, a)
		return nil
	})
	return columns, err
}

func fixed(t arrow.DataType, data []byte, n int, validity []byte, nulls int) arrow.Array {
	var valid *memory.Buffer
	if nulls > 0 {
		valid = memory.NewBufferBytes(validity)
	}
	d := array.NewData(t, n, []*memory.Buffer{valid, memory.NewBufferBytes(data)}, nil, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// present is the validity bitmap of a column with absent values, nil for none.
func present[T comparable](column []T, absent T) (validity []byte, nulls int) {
	for i, v := range column {
		if v != absent {
			continue
		}
		if validity == nil {
			validity = bytes.Repeat([]byte{0xFF}, (len(column)+7)/8)
		}
		validity[i>>3] &^= 1 << (i & 7)
		nulls++
	}
	return validity, nulls
}

func textArray(t *schemas.Text) arrow.Array {
	offsets := make([]byte, 0, 4*(len(t.Dict)+1))
	var data []byte
	offsets = binary.LittleEndian.AppendUint32(offsets, 0)
	for _, s := range t.Dict {
		data = append(data, s...)
		offsets = binary.LittleEndian.AppendUint32(offsets, uint32(len(data)))
	}
	dict := array.NewData(arrow.BinaryTypes.String, len(t.Dict), []*memory.Buffer{nil, memory.NewBufferBytes(offsets), memory.NewBufferBytes(data)}, nil, 0, 0)
	defer dict.Release()
	d := array.NewDataWithDictionary(textType(), len(t.Index), []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(t.Index))}, 0, 0, dict)
	defer d.Release()
	return array.MakeFromData(d)
}

func runsArray(c *schemas.Costs) (arrow.Array, error) {
	n := c.Len()
	if len(c.RunsEnd) != n || (n > 0 && int(c.RunsEnd[n-1]) != len(c.Runs)) {
		return nil, fmt.Errorf("ends of runs for %d rows, window_start has %d", len(c.RunsEnd), n)
	}
	offsets := append(make([]uint32, 1, n+1), c.RunsEnd...)
	values := array.NewData(arrow.PrimitiveTypes.Uint32, len(c.Runs), []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(c.Runs))}, nil, 0, 0)
	defer values.Release()
	d := array.NewData(arrow.ListOfNonNullable(arrow.PrimitiveTypes.Uint32), n, []*memory.Buffer{nil, memory.NewBufferBytes(bytesOf(offsets))}, []arrow.ArrayData{values}, 0, 0)
	defer d.Release()
	return array.MakeFromData(d), nil
}

// bytesOf is the memory of a column: Arrow's layout on a little-endian machine.
func bytesOf[T int64 | uint64 | uint32](column []T) []byte {
	if len(column) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&column[0])), len(column)*int(unsafe.Sizeof(column[0])))
}

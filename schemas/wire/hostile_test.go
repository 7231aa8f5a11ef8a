package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// allocated is how many bytes fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func compressed(t *testing.T, raw []byte) []byte {
	t.Helper()
	z, err := newCompressor(zstd.SpeedFastest)
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll(raw, nil)
}

// withRows is rec with another number of rows in its header.
func withRows(rec *kgo.Record, rows uint32) *kgo.Record {
	out := withValue(rec, rec.Value)
	for i, h := range out.Headers {
		if h.Key == headerRows {
			out.Headers[i].Value = binary.LittleEndian.AppendUint32(nil, rows)
		}
	}
	return out
}

// arrowStream is an Arrow stream of one batch of rows rows of columns.
func arrowStream(t *testing.T, schema *arrow.Schema, columns []arrow.Array, rows int64) []byte {
	t.Helper()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	if err := w.Write(array.NewRecord(schema, columns, rows)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// manyNulls is a stream of rows rows of the one Arrow type that takes no bytes.
func manyNulls(t *testing.T, rows int) []byte {
	t.Helper()
	schema := arrow.NewSchema([]arrow.Field{{Name: "ts", Type: arrow.Null, Nullable: true}}, nil)
	return arrowStream(t, schema, []arrow.Array{array.NewNull(rows)}, int64(rows))
}

// hostileSchema is a schema message of depth levels of fields below the first,
// each level a vector of width references to one and the same field: to read it
// naively takes width^depth allocations. claimed, if positive, is what the vector
// of the schema says its length is.
func hostileSchema(claimed, width, depth int) []byte {
	var meta []byte
	vtable := func(all ...uint16) {
		for _, v := range all {
			meta = binary.LittleEndian.AppendUint16(meta, v)
		}
	}
	words := func(all ...int) {
		for _, v := range all {
			meta = binary.LittleEndian.AppendUint32(meta, uint32(v))
		}
	}
	references := func(n, length int) {
		words(length)
		for i := range n {
			words(4*(n-i) + 16) // over the rest of the vector and the next field's vtable
		}
	}
	words(16)
	vtable(10, 12, 4, 6, 8, 0) // Message: version, kind, head
	words(12, 4|kindSchema<<16, 12)
	vtable(8, 8, 0, 4) // Schema: fields
	words(8, 4)
	references(width, max(claimed, width))
	for level := range depth + 1 {
		vtable(16, 20, 0, 0, 16, 8, 0, 12) // Field: kind of type, type, children
		words(16, 0, 4, 8, 13)             // a struct
		n := width
		if level == depth {
			n = 0
		}
		references(n, n)
	}
	for len(meta)%8 != 0 {
		meta = append(meta, 0)
	}
	out := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, 0xFFFFFFFF), uint32(len(meta)))
	return append(append(out, meta...), endOfStream...)
}

// The honest shape is a schema to Arrow, and one to us until its record batch is
// missing: what is refused is refused for its size.
func TestHostileSchemaWithoutLiesIsASchema(t *testing.T) {
	value := hostileSchema(0, 2, 3)
	var s ipcStream
	if err := s.read(value); err == nil || len(s.fields) != 2 || len(s.fields[1].children) != 2 {
		t.Fatalf("%d fields, %v", len(s.fields), err)
	}
	r, err := ipc.NewReader(bytes.NewReader(value))
	if err != nil || r.Schema().NumFields() != 2 {
		t.Fatalf("%v, %v", r, err)
	}
}

// What follows has right checksums and lies about sizes.
func TestHostileRecordsAllocateLittle(t *testing.T) {
	good := records(t)
	allocation, cost, samples := good[schemas.StreamAllocations], good[schemas.StreamCost], good[schemas.StreamSamples]
	zeros := compressed(t, make([]byte, 4*maxValue))
	cases := []struct {
		name, stream string
		rec          *kgo.Record
	}{
		{"a million rows of nothing", schemas.StreamAllocations, withRows(resealed(allocation, manyNulls(t, 1<<20)), 1<<20)},
		{"a million facts of nothing", schemas.StreamCost, withRows(resealed(cost, compressed(t, manyNulls(t, 1<<20))), 1<<20)},
		{"two billion fields", schemas.StreamAllocations, resealed(allocation, hostileSchema(1<<31-1, 77, 0))},
		{"two billion fields of a fact", schemas.StreamCost, resealed(cost, compressed(t, hostileSchema(1<<31-1, 77, 0)))},
		{"fields of fields of fields", schemas.StreamAllocations, resealed(allocation, hostileSchema(0, 50, 6))},
		{"deep fields", schemas.StreamAllocations, resealed(allocation, hostileSchema(0, 1, 500))},
		{"fields of fields of a fact", schemas.StreamCost, resealed(cost, compressed(t, hostileSchema(0, 50, 6)))},
		{"a bomb of samples", schemas.StreamSamples, resealed(samples, zeros)},
		{"a bomb of facts", schemas.StreamCost, resealed(cost, zeros)},
		{"samples of a million rows", schemas.StreamSamples, withRows(samples, 1<<20)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var err error
			bytes := allocated(func() { err = decode(c.stream, c.rec) })
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("no error that wraps ErrCorrupt: %v", err)
			}
			if limit := uint64(4 * maxValue); bytes > limit {
				t.Errorf("%d bytes allocated for a value of %d, at most %d wanted", bytes, len(c.rec.Value), limit)
			}
		})
	}
}

// Lists that share what they hold would make a small stream large when copied.
func TestListsThatOverlapAreRefused(t *testing.T) {
	const rows, items = 1000, 10_000
	text := array.NewStringBuilder(memory.DefaultAllocator)
	for range items {
		text.Append("argument")
	}
	offsets := binary.LittleEndian.AppendUint32(nil, 0)
	for i := range rows {
		offsets = binary.LittleEndian.AppendUint32(offsets, uint32((i+1)%2*items))
	}
	values := text.NewArray()
	schema := arrow.NewSchema([]arrow.Field{{Name: "command", Type: arrow.ListOf(arrow.BinaryTypes.String)}}, nil)
	b := &batch{}
	b.reset(rows)
	b.column(0)
	b.buffer(0)
	copy(b.buffer(len(offsets)), offsets)
	data := values.Data()
	b.child(items, 0)
	b.buffer(0)
	copy(b.buffer(4*(items+1)), data.Buffers()[1].Bytes())
	copy(b.buffer(8*items), data.Buffers()[2].Bytes())
	var begin bytes.Buffer
	if err := ipc.NewWriter(&begin, ipc.WithSchema(schema)).Close(); err != nil {
		t.Fatal(err)
	}
	value := append(b.appendTo(bytes.TrimSuffix(begin.Bytes(), []byte(endOfStream)), noDictionary), endOfStream...)
	rec := withRows(resealed(records(t)[schemas.StreamAllocations], value), rows)
	var err error
	n := allocated(func() { _, err = Decode[schemas.Allocation](nil, rec) })
	if !errors.Is(err, ErrCorrupt) || n > 16<<20 {
		t.Errorf("%d bytes allocated for %d, error %v", n, len(value), err)
	}
}

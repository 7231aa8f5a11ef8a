package wire

import (
	"bytes"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/endian"
	"github.com/apache/arrow/go/v17/arrow/ipc"
)

// readStream calls fn with each batch of an Arrow IPC stream without
// dictionaries. It checks every message before Arrow reads it, since Arrow
// allocates what a length says; what still makes Arrow panic is recovered by the
// caller.
func readStream(value []byte, fn func(arrow.Record) error) error {
	if err := checkStream(value); err != nil {
		return err
	}
	r, err := ipc.NewReader(bytes.NewReader(value))
	if err != nil {
		return corrupt("arrow: %v", err)
	}
	defer r.Release()
	rows := int64(0)
	for r.Next() {
		batch := r.Record()
		if rows += batch.NumRows(); rows > maxRows || rows > int64(len(value)) {
			return corrupt("%d rows in %d bytes", rows, len(value))
		}
		if err := fn(batch); err != nil {
			return err
		}
	}
	if r.Err() != nil {
		return corrupt("arrow: %v", r.Err())
	}
	return nil
}

// checkStream walks the messages of a stream: a schema, then batches that have
// the nodes and buffers which the schema wants, all within their bodies and not
// compressed, then the end mark. Arrow reads a buffer that is missing out of
// whatever lies behind the others.
func checkStream(value []byte) error {
	p, b, err := next(value)
	if err != nil {
		return err
	}
	schema, err := readSchema(value[:len(value)-len(b)], &p)
	if err != nil {
		return err
	}
	var widths []int
	for _, f := range schema.Fields() {
		if widths, err = appendWidths(widths, f.Type); err != nil {
			return err
		}
	}
	for m := (message{}); ; {
		p, rest, err := next(b)
		switch {
		case err != nil:
			return err
		case p.kind == 0 && len(rest) == 0:
			return nil
		case p.kind != kindBatch:
			return corrupt("a message of kind %d, %d bytes before the end", p.kind, len(rest))
		}
		if err := m.columns(&p.head, p.body, widths); err != nil {
			return err
		}
		b = rest
	}
}

// readSchema reads a schema message. Arrow may panic: the caller recovers.
func readSchema(raw []byte, p *part) (*arrow.Schema, error) {
	if p.kind != kindSchema {
		return nil, corrupt("the stream does not begin with a schema")
	}
	if err := checkSchema(&p.head, p.size); err != nil {
		return nil, err
	}
	r, err := ipc.NewReader(bytes.NewReader(append(bytes.Clone(raw), endOfStream...)))
	if err != nil {
		return nil, corrupt("arrow: %v", err)
	}
	defer r.Release()
	if r.Schema().Endianness() != endian.LittleEndian {
		return nil, corrupt("the stream is big-endian")
	}
	return r.Schema(), nil
}

// plain says whether the type of a field needs no more to read than its kind and
// children: unions and what came after large lists have vectors of their own.
func plain(f *table) bool {
	const kindOfType, union, largeList = 2, 14, 21
	at := f.field(kindOfType)
	if !f.ok || at <= 0 || at >= len(f.buf) {
		return false
	}
	return f.buf[at] != union && f.buf[at] <= largeList
}

// appendWidths appends how many buffers a column of type t has, then those of
// what it holds.
func appendWidths(widths []int, t arrow.DataType) ([]int, error) {
	switch t := t.(type) {
	case *arrow.NullType:
		return append(widths, 0), nil
	case *arrow.StringType, *arrow.BinaryType, *arrow.LargeStringType, *arrow.LargeBinaryType:
		return append(widths, 3), nil
	case *arrow.ListType:
		return appendWidths(append(widths, 2), t.Elem())
	case *arrow.LargeListType:
		return appendWidths(append(widths, 2), t.Elem())
	case *arrow.MapType:
		return appendWidths(append(widths, 2), t.Elem())
	case *arrow.StructType:
		widths = append(widths, 1)
		for _, f := range t.Fields() {
			var err error
			if widths, err = appendWidths(widths, f.Type); err != nil {
				return nil, err
			}
		}
		return widths, nil
	case arrow.FixedWidthDataType:
		if t.ID() != arrow.FIXED_SIZE_LIST {
			return append(widths, 2), nil
		}
	}
	return nil, corrupt("a column of type %s", t)
}

// Message header kinds of Arrow's Message.fbs.
const (
	kindSchema = iota + 1
	kindDictionary
	kindBatch
)

// Limits of a schema: Arrow allocates for each field that a vector claims, and
// fields may refer to the same children again and again.
const (
	maxSchema = 64 << 10 // bytes
	maxFields = 1 << 10
	maxDepth  = 8
)

// checkSchema checks that a schema's fields are few and lie within it.
func checkSchema(schema *table, size int) error {
	if size > maxSchema {
		return corrupt("a schema of %d bytes, more than %d", size, maxSchema)
	}
	left := maxFields
	const fields, metadata = 1, 2
	if !checkFields(schema, fields, metadata, 0, &left) || !schema.ok {
		return corrupt("a schema is cut, or has more than %d fields or %d levels", maxFields, maxDepth)
	}
	return nil
}

// checkFields walks the fields in vector number children of t.
func checkFields(t *table, children, metadata, depth int, left *int) bool {
	for _, k := range []int{children, metadata} {
		at := t.field(k)
		if at == 0 {
			continue
		}
		v := t.follow(at)
		n := v.count(4)
		if *left -= n; !v.ok || *left < 0 || depth > maxDepth {
			return false
		}
		for i := 0; k == children && i < n; i++ {
			f := v.follow(v.at + 4 + 4*i)
			const children, metadata = 5, 6
			if !plain(&f) || !checkFields(&f, children, metadata, depth+1, left) {
				return false
			}
		}
	}
	return t.ok
}

// count is the length of a vector of structs of size bytes, 0 when it is cut.
func (t *table) count(size int) int {
	n := t.i32(t.at)
	if n < 0 || n > (len(t.buf)-t.at-4)/size {
		t.ok = false
		return 0
	}
	return n
}

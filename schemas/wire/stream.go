package wire

import (
	"bytes"
	"encoding/binary"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"
)

// readStream calls fn with each batch of an Arrow IPC stream. It checks the
// framing before Arrow reads it, since Arrow allocates what a length says; what
// still makes Arrow panic is recovered by the caller.
func readStream(value []byte, fn func(arrow.Record) error) error {
	if err := checkFraming(value); err != nil {
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

// checkFraming walks the messages of an IPC stream: each one's metadata and body
// lie within the value, no buffer is longer than its body or compressed, and the
// stream ends with its mark.
func checkFraming(b []byte) error {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint32(b) != 0xFFFFFFFF {
			return corrupt("no Arrow message where one should begin")
		}
		size := int(int32(binary.LittleEndian.Uint32(b[4:])))
		if size == 0 {
			if len(b) != 8 {
				return corrupt("%d bytes behind the end of the stream", len(b)-8)
			}
			return nil
		}
		if size < 8 || size > len(b)-8 {
			return corrupt("metadata of %d bytes in %d", size, len(b)-8)
		}
		body, err := checkMessage(b[8:8+size], len(b)-8-size)
		if err != nil {
			return err
		}
		b = b[8+size+body:]
	}
	return corrupt("the stream has no end mark: it is cut")
}

// Message header kinds of Arrow's Message.fbs.
const (
	kindSchema = iota + 1
	kindDictionary
	kindBatch
)

// checkMessage checks one message's metadata and gives the size of its body,
// of which at most left bytes are there.
func checkMessage(meta []byte, left int) (body int, err error) {
	msg := table{buf: meta, ok: true}
	msg.at = msg.i32(0)
	kind, head, length := msg.field(1), msg.field(2), msg.field(3)
	if !msg.ok || kind <= 0 || kind >= len(meta) || head <= 0 {
		return 0, corrupt("metadata is cut")
	}
	n := int64(0)
	if length > 0 {
		n = msg.i64(length)
	}
	if !msg.ok || n < 0 || n > int64(left) {
		return 0, corrupt("body of %d bytes in %d", n, left)
	}
	batch := msg.follow(head)
	switch meta[kind] {
	case kindSchema:
		return int(n), checkSchema(&batch, len(meta))
	case kindDictionary:
		batch = batch.follow(batch.field(1))
	case kindBatch:
	default:
		return 0, corrupt("message of kind %d", meta[kind])
	}
	return int(n), checkBatch(&batch, n)
}

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
			if !f.ok || !checkFields(&f, children, metadata, depth+1, left) {
				return false
			}
		}
	}
	return t.ok
}

// checkBatch checks that the rows, nodes and buffers of a batch are no more than
// its body can hold.
func checkBatch(batch *table, body int64) error {
	length, nodes, buffers := batch.field(0), batch.field(1), batch.field(2)
	if !batch.ok || batch.field(3) != 0 {
		return corrupt("a batch is cut or compressed inside")
	}
	rows := int64(0)
	if length > 0 {
		rows = batch.i64(length)
	}
	if rows < 0 || rows > maxRows {
		return corrupt("%d rows in a batch", rows)
	}
	if nodes > 0 {
		v := batch.follow(nodes)
		for i := range v.count(16) {
			if n, null := v.i64(v.at+4+16*i), v.i64(v.at+12+16*i); n < 0 || n > maxValue || null < 0 || null > n {
				return corrupt("a column of %d values, %d of them null", n, null)
			}
		}
		batch.ok = batch.ok && v.ok
	}
	if buffers > 0 {
		v := batch.follow(buffers)
		for i := range v.count(16) {
			if at, n := v.i64(v.at+4+16*i), v.i64(v.at+12+16*i); at < 0 || n < 0 || at > body || n > body-at {
				return corrupt("a buffer lies outside the body")
			}
		}
		batch.ok = batch.ok && v.ok
	}
	if !batch.ok {
		return corrupt("a batch's metadata is cut")
	}
	return nil
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

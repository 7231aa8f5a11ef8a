package wire

import (
	"bytes"

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
	for {
		p, rest, err := next(b)
		if err != nil {
			return err
		}
		if p.kind == 0 {
			if len(rest) != 0 {
				return corrupt("%d bytes behind the end of the stream", len(rest))
			}
			return nil
		}
		if err := checkPart(&p); err != nil {
			return err
		}
		b = rest
	}
}

// Message header kinds of Arrow's Message.fbs.
const (
	kindSchema = iota + 1
	kindDictionary
	kindBatch
)

func checkPart(p *part) error {
	switch p.kind {
	case kindSchema:
		return checkSchema(&p.head, p.size)
	case kindDictionary:
		data := p.head.follow(p.head.field(1))
		return checkBatch(&data, int64(len(p.body)))
	case kindBatch:
		return checkBatch(&p.head, int64(len(p.body)))
	}
	return nil
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

package wire

import "encoding/binary"

// A message is one Arrow IPC RecordBatch message, taken apart without Arrow.
// Layout, all little-endian, each part a multiple of 8 bytes:
//
//	FFFFFFFF │ metadata length (4) │ flatbuffer Message │ body: the buffers
//
// Every length and offset is checked before it is used, so the buffers lie in
// the body, whatever the bytes are.
type message struct {
	rows    int
	lengths []int    // by column: rows
	nulls   []int    // by column
	buffers [][]byte // by column: validity, then offsets where it has them, then data
}

// A table is a position in a flatbuffer; field gives where a field's value
// lies, 0 when the writer left it out. Anything out of bounds makes ok false.
type table struct {
	buf []byte
	at  int
	ok  bool
}

func (t *table) u16(i int) int {
	if i < 0 || i+2 > len(t.buf) {
		t.ok = false
		return 0
	}
	return int(binary.LittleEndian.Uint16(t.buf[i:]))
}

func (t *table) i32(i int) int {
	if i < 0 || i+4 > len(t.buf) {
		t.ok = false
		return 0
	}
	return int(int32(binary.LittleEndian.Uint32(t.buf[i:])))
}

func (t *table) i64(i int) int64 {
	if i < 0 || i+8 > len(t.buf) {
		t.ok = false
		return 0
	}
	return int64(binary.LittleEndian.Uint64(t.buf[i:]))
}

func (t *table) field(k int) int {
	vtable := t.at - t.i32(t.at)
	if size := t.u16(vtable); 4+2*k >= size { // as flatbuffers has it, also where size is odd
		return 0
	}
	if o := t.u16(vtable + 4 + 2*k); o != 0 {
		return t.at + o
	}
	return 0
}

// follow goes from the field that refers to a table or vector to it.
func (t *table) follow(at int) table {
	return table{buf: t.buf, at: at + t.i32(at), ok: t.ok && at > 0}
}

// A part is one message of a stream, not yet taken apart.
type part struct {
	kind byte   // kindSchema …; 0 is the end of the stream
	head table  // the Schema, DictionaryBatch or RecordBatch
	size int    // bytes of metadata
	body []byte // its buffers
}

// next takes one message off the front of b.
func next(b []byte) (p part, rest []byte, err error) {
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != 0xFFFFFFFF {
		return part{}, nil, corrupt("no Arrow message where one should begin: the stream is cut, or not one")
	}
	size := int(int32(binary.LittleEndian.Uint32(b[4:])))
	if size == 0 {
		return part{}, b[8:], nil
	}
	if size < 8 || size > len(b)-8 {
		return part{}, nil, corrupt("metadata of %d bytes in %d", size, len(b)-8)
	}
	msg := table{buf: b[8 : 8+size], ok: true}
	msg.at = msg.i32(0)
	kind, head, length := msg.field(1), msg.field(2), msg.field(3)
	if !msg.ok || kind <= 0 || kind >= size || head <= 0 {
		return part{}, nil, corrupt("metadata is cut")
	}
	body := int64(0) // flatbuffers leave a zero out
	if length > 0 {
		body = msg.i64(length)
	}
	if b = b[8+size:]; !msg.ok || body < 0 || body > int64(len(b)) {
		return part{}, nil, corrupt("body of %d bytes in %d", body, len(b))
	}
	if k := msg.buf[kind]; k < kindSchema || k > kindBatch {
		return part{}, nil, corrupt("message of kind %d", k)
	}
	return part{kind: msg.buf[kind], head: msg.follow(head), size: size, body: b[:body]}, b[body:], nil
}

// parse reads one record batch off the front of b and gives the rest. widths
// says how many buffers each known column has.
func (m *message) parse(b []byte, widths []int) (rest []byte, err error) {
	p, rest, err := next(b)
	if err != nil {
		return nil, err
	}
	if p.kind != kindBatch {
		return nil, corrupt("the message is not a record batch")
	}
	if err := m.columns(&p.head, p.body, widths); err != nil {
		return nil, err
	}
	for i, n := range m.lengths {
		if n != m.rows {
			return nil, corrupt("column %d has another number of rows", i)
		}
	}
	return rest, nil
}

// columns takes a record batch apart. widths says how many buffers each known
// column has, those inside a list after it; what a newer writer has behind them
// is left unread.
func (m *message) columns(batch *table, body []byte, widths []int) error {
	length, nodes, buffers := batch.field(0), batch.field(1), batch.field(2)
	if len(widths) == 0 {
		return corrupt("a record batch without columns")
	}
	if !batch.ok || nodes <= 0 || buffers <= 0 || batch.field(3) != 0 {
		return corrupt("the record batch has no columns, or is compressed inside")
	}
	rows := int64(0)
	if length > 0 {
		rows = batch.i64(length)
	}
	if rows < 0 || rows > maxRows {
		return corrupt("%d rows in a record batch", rows)
	}
	m.rows, m.lengths, m.nulls, m.buffers = int(rows), m.lengths[:0], m.nulls[:0], m.buffers[:0]
	node, buffer := batch.follow(nodes), batch.follow(buffers)
	count := 0
	for _, w := range widths {
		count += w
	}
	if node.i32(node.at) < len(widths) || buffer.i32(buffer.at) < count || !node.ok || !buffer.ok {
		return corrupt("the record batch has fewer columns than its layout")
	}
	for i := range widths {
		rows, nulls := node.i64(node.at+4+16*i), node.i64(node.at+4+16*i+8)
		if rows < 0 || rows > maxValue || nulls < 0 || nulls > rows {
			return corrupt("column %d has %d rows and %d nulls", i, rows, nulls)
		}
		m.lengths, m.nulls = append(m.lengths, int(rows)), append(m.nulls, int(nulls))
	}
	for i := range count {
		at, n := buffer.i64(buffer.at+4+16*i), buffer.i64(buffer.at+4+16*i+8)
		if at < 0 || n < 0 || at > int64(len(body)) || n > int64(len(body))-at {
			return corrupt("buffer %d lies outside the body", i)
		}
		m.buffers = append(m.buffers, body[at:at+n])
	}
	if !node.ok || !buffer.ok {
		return corrupt("the record batch's metadata is cut")
	}
	return nil
}

// isNull reads the validity bitmap; the caller has checked its length.
func isNull(validity []byte, i int) bool { return validity[i>>3]&(1<<(i&7)) == 0 }

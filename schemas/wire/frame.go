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
	if size := t.u16(vtable); 4+2*k+2 > size {
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

// parse reads one message off the front of b and gives the rest. widths says
// how many buffers each known column has; a newer writer's further columns are
// left unread.
func (m *message) parse(b []byte, widths []int) (rest []byte, err error) {
	if len(b) < 16 || binary.LittleEndian.Uint32(b) != 0xFFFFFFFF {
		return nil, corrupt("no Arrow message where one should begin")
	}
	size := int(int32(binary.LittleEndian.Uint32(b[4:])))
	if size <= 8 || size > len(b)-8 {
		return nil, corrupt("metadata of %d bytes in %d", size, len(b))
	}
	msg := table{buf: b[8 : 8+size], ok: true}
	msg.at = msg.i32(0)
	kind, head, length := msg.field(1), msg.field(2), msg.field(3)
	if !msg.ok || kind <= 0 || kind >= size || msg.buf[kind] != 3 || head <= 0 {
		return nil, corrupt("the message is not a record batch")
	}
	body := int64(0) // flatbuffers leave a zero out
	if length > 0 {
		body = msg.i64(length)
	}
	if !msg.ok || body < 0 || body > int64(len(b)-8-size) {
		return nil, corrupt("body of %d bytes in %d", body, len(b)-8-size)
	}
	batch := msg.follow(head)
	if err := m.columns(&batch, b[8+size:8+size+int(body)], widths); err != nil {
		return nil, err
	}
	return b[8+size+int(body):], nil
}

func (m *message) columns(batch *table, body []byte, widths []int) error {
	length, nodes, buffers := batch.field(0), batch.field(1), batch.field(2)
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
	m.rows, m.nulls, m.buffers = int(rows), m.nulls[:0], m.buffers[:0]
	node, buffer := batch.follow(nodes), batch.follow(buffers)
	count := 0
	for _, w := range widths {
		count += w
	}
	if node.i32(node.at) < len(widths) || buffer.i32(buffer.at) < count || !node.ok || !buffer.ok {
		return corrupt("the record batch has fewer columns than its layout")
	}
	for i := range widths {
		n := node.i64(node.at + 4 + 16*i + 8)
		if node.i64(node.at+4+16*i) != rows || n < 0 || n > rows {
			return corrupt("column %d has another number of rows", i)
		}
		m.nulls = append(m.nulls, int(n))
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

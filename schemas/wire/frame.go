package wire

import "encoding/binary"

// Kinds of Arrow IPC messages, from Arrow's Message.fbs.
const (
	kindSchema     = 1
	kindDictionary = 2
	kindBatch      = 3
)

// A frame is one message of an Arrow stream, framed but not yet understood:
//
//	FFFFFFFF │ length of metadata (4) │ metadata: flatbuffer Message │ body
//
// Each part is a multiple of 8 bytes long.
type frame struct {
	flat   flat
	kind   byte
	header int // position of the Schema, DictionaryBatch or RecordBatch table
	body   []byte
}

// readFrame takes one message off b. At an end mark ok is false.
func readFrame(b []byte) (m frame, rest []byte, ok bool, err error) {
	if len(b) < 8 || binary.LittleEndian.Uint32(b) != 0xFFFFFFFF {
		return m, nil, false, corrupt("no Arrow message where one should begin")
	}
	size := int(int32(binary.LittleEndian.Uint32(b[4:])))
	if size == 0 {
		return m, b[8:], false, nil
	}
	if size < 0 || size%8 != 0 || size > len(b)-8 {
		return m, nil, false, corrupt("metadata of %d bytes in a message of %d", size, len(b))
	}
	m.flat.b = b[8 : 8+size]
	root := m.flat.i32(0)
	if kind := m.flat.field(root, 1); kind > 0 {
		m.kind = m.flat.u8(kind)
	}
	m.header = m.flat.follow(root, 2)
	length := int64(0)
	if at := m.flat.field(root, 3); at > 0 {
		length = m.flat.i64(at)
	}
	if m.flat.bad || m.header == 0 {
		return m, nil, false, corrupt("the metadata of a message is cut")
	}
	b = b[8+size:]
	if length < 0 || length > int64(len(b)) || length%8 != 0 {
		return m, nil, false, corrupt("a body of %d bytes where %d are left", length, len(b))
	}
	m.body = b[:length]
	return m, b[length:], true, nil
}

// A recordBatch is a RecordBatch: nodes (rows and nulls of a column) and buffers.
type recordBatch struct {
	rows    int
	nodes   []byte // 16 bytes each: length, null count
	buffers []byte // 16 bytes each: offset, length
	body    []byte
}

// batchAt understands the RecordBatch table at t.
func (m *frame) batchAt(t int) (recordBatch, error) {
	b := recordBatch{body: m.body}
	rows := int64(0)
	if at := m.flat.field(t, 0); at > 0 {
		rows = m.flat.i64(at)
	}
	n, at := m.flat.vector(t, 1, 16)
	k, to := m.flat.vector(t, 2, 16)
	compression := m.flat.field(t, 3)
	switch {
	case m.flat.bad:
		return b, corrupt("the metadata of a record batch is cut")
	case compression != 0:
		return b, corrupt("the buffers of a record batch are compressed; compress the whole value instead")
	case rows < 0 || rows > maxRows:
		return b, corrupt("a record batch of %d rows", rows)
	}
	b.rows, b.nodes, b.buffers = int(rows), m.flat.b[at:at+16*n], m.flat.b[to:to+16*k]
	return b, nil
}

// node gives length and null count of node i.
func (b *recordBatch) node(i int) (length, nulls int, err error) {
	if i < 0 || 16*i+16 > len(b.nodes) {
		return 0, 0, corrupt("column %d is not in the record batch", i)
	}
	n := int64(binary.LittleEndian.Uint64(b.nodes[16*i:]))
	null := int64(binary.LittleEndian.Uint64(b.nodes[16*i+8:]))
	if n < 0 || n > maxValue || null < 0 || null > n {
		return 0, 0, corrupt("column %d has %d values, %d of them null", i, n, null)
	}
	return int(n), int(null), nil
}

// buffer gives buffer i, which must have at least size bytes, aligned to 8.
func (b *recordBatch) buffer(i, size int) ([]byte, error) {
	if i < 0 || 16*i+16 > len(b.buffers) {
		return nil, corrupt("buffer %d is not in the record batch", i)
	}
	at := int64(binary.LittleEndian.Uint64(b.buffers[16*i:]))
	n := int64(binary.LittleEndian.Uint64(b.buffers[16*i+8:]))
	if at < 0 || n < 0 || at > int64(len(b.body)) || n > int64(len(b.body))-at || n < int64(size) || at%8 != 0 {
		return nil, corrupt("buffer %d of %d bytes at %d does not hold %d bytes of a body of %d", i, n, at, size, len(b.body))
	}
	return b.body[at : at+n], nil
}

// fixed gives validity (nil when there are no nulls) and values of a column of
// fixed width, which has node i and buffers k, k+1.
func (b *recordBatch) fixed(i, k, rows, width int) (validity, values []byte, err error) {
	n, nulls, err := b.node(i)
	if err != nil {
		return nil, nil, err
	}
	if n != rows {
		return nil, nil, corrupt("column %d has %d values, not %d", i, n, rows)
	}
	if nulls > 0 {
		if validity, err = b.buffer(k, (rows+7)/8); err != nil {
			return nil, nil, err
		}
	}
	values, err = b.buffer(k+1, rows*width)
	return validity, values, err
}

// texts gives offsets and bytes of a column of strings, which has node i and
// buffers k, k+1, k+2; wide ones have offsets of 64 bits. The offsets rise and end
// within the bytes.
func (b *recordBatch) texts(i, k, rows int, wide bool) (offsets []int32, data []byte, err error) {
	n, _, err := b.node(i)
	if err != nil {
		return nil, nil, err
	}
	if n != rows {
		return nil, nil, corrupt("column %d has %d values, not %d", i, n, rows)
	}
	data, err = b.buffer(k+2, 0)
	if err != nil {
		return nil, nil, err
	}
	if wide {
		offsets, err = b.wideOffsets(k+1, rows, len(data))
	} else {
		offsets, err = b.offsets(k+1, rows, len(data))
	}
	return offsets, data, err
}

// wideOffsets is offsets of a column whose offsets have 64 bits, as 32: what they
// point into is smaller than that.
func (b *recordBatch) wideOffsets(k, rows, limit int) ([]int32, error) {
	raw, err := b.buffer(k, 8*(rows+1))
	if err != nil || rows == 0 {
		return []int32{0}, err
	}
	out := make([]int32, rows+1)
	last := int64(0)
	for i, o := range cast[int64](raw, rows+1) {
		if o < last || o > int64(limit) {
			return nil, corrupt("the offsets in buffer %d fall, or leave the %d bytes", k, limit)
		}
		out[i], last = int32(o), o
	}
	return out, nil
}

// offsets gives the rows+1 offsets in buffer k; they rise from 0 or later and
// end at limit or before. A column without rows may leave them out.
func (b *recordBatch) offsets(k, rows, limit int) ([]int32, error) {
	if rows == 0 {
		return []int32{0}, nil
	}
	raw, err := b.buffer(k, 4*(rows+1))
	if err != nil {
		return nil, err
	}
	offsets := cast[int32](raw, rows+1)
	last := int32(0)
	for _, o := range offsets {
		if o < last {
			return nil, corrupt("the offsets in buffer %d fall", k)
		}
		last = o
	}
	if int(last) > limit {
		return nil, corrupt("the offsets in buffer %d end at %d of %d", k, last, limit)
	}
	return offsets, nil
}

// A message is the record batch of samples taken apart: every buffer lies in the
// body, whatever the bytes are.
type message struct {
	rows    int
	nulls   []int    // by column
	buffers [][]byte // by column: validity, then offsets where it has them, then data
}

// parse reads one message off the front of b and gives the rest. widths says
// how many buffers each known column has; a newer writer's further columns are
// left unread.
func (m *message) parse(b []byte, widths []int) (rest []byte, err error) {
	f, rest, ok, err := readFrame(b)
	if err != nil {
		return nil, err
	}
	if !ok || f.kind != kindBatch {
		return nil, corrupt("the message is not a record batch")
	}
	batch, err := f.batchAt(f.header)
	if err != nil {
		return nil, err
	}
	m.rows, m.nulls, m.buffers = batch.rows, m.nulls[:0], m.buffers[:0]
	for i, w := range widths {
		n, nulls, err := batch.node(i)
		if err != nil {
			return nil, err
		}
		if n != batch.rows {
			return nil, corrupt("column %d has %d values in %d rows", i, n, batch.rows)
		}
		m.nulls = append(m.nulls, nulls)
		for range w {
			buffer, err := batch.buffer(len(m.buffers), 0)
			if err != nil {
				return nil, err
			}
			m.buffers = append(m.buffers, buffer)
		}
	}
	return rest, nil
}

// isNull reads the validity bitmap; the caller has checked its length.
func isNull(validity []byte, i int) bool { return validity[i>>3]&(1<<(i&7)) == 0 }

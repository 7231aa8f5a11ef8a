package wire

import (
	"bytes"
	"encoding/binary"

	"github.com/google/uuid"

	"github.com/gpumeter/gpumeter/schemas"
)

// maxTables bounds the bytes of the messages that a decoder keeps tables of.
const maxTables = 64 << 20

// tables keeps the last series table of each node.
type tables struct {
	nodes map[string]*nodeTable
	size  int // bytes of all messages
}

// A nodeTable is a node's series, and the letters and message they came in.
type nodeTable struct {
	node    string
	letters []byte
	message []byte
	series  []schemas.Series
}

// get finds the table of a node, with its series if message is still the same.
// The node's name is there to be shared, even when it is not.
func (t *tables) get(node, letters, message []byte) (*nodeTable, bool) {
	table, ok := t.nodes[string(node)]
	return table, ok && bytes.Equal(table.message, message) && bytes.Equal(table.letters, letters)
}

func (t *tables) put(node, letters, message []byte, series []schemas.Series) *nodeTable {
	if t.size += len(message) + len(node); t.nodes == nil || t.size > maxTables {
		t.nodes, t.size = map[string]*nodeTable{}, len(message)+len(node)
	}
	table := &nodeTable{node: string(node), letters: bytes.Clone(letters), message: bytes.Clone(message), series: series}
	if old := t.nodes[table.node]; old != nil {
		t.size -= len(old.message) + len(node)
	}
	t.nodes[table.node] = table
	return table
}

// decodeSeries sets node and series of s from the message at the front of the
// decompressed value, and gives the rest.
func (d *SampleDecoder) decodeSeries(s *schemas.Samples, node, letters []byte) (rest []byte, err error) {
	known := letters[:min(len(letters), seriesColumnCount)]
	d.widths = d.widths[:0]
	for i, c := range known {
		switch {
		case c == layoutMissing:
		case c == layoutText && i < 3:
			d.widths = append(d.widths, 3)
		default:
			d.widths = append(d.widths, 2)
		}
	}
	if rest, err = d.series.parse(d.raw, d.widths); err != nil {
		return nil, err
	}
	message := d.raw[:len(d.raw)-len(rest)]
	table, ok := d.tables.get(node, letters, message)
	if !ok {
		series, err := d.readSeries(known)
		if err != nil {
			return nil, err
		}
		table = d.tables.put(node, letters, message, series)
	}
	s.Node, s.Series = table.node, table.series
	return rest, nil
}

// readSeries makes a table of the series message that was parsed last.
func (d *SampleDecoder) readSeries(letters []byte) ([]schemas.Series, error) {
	if d.series.rows > maxSeries {
		return nil, corrupt("%d series in one message", d.series.rows)
	}
	if len(letters) == 0 || letters[0] == layoutMissing {
		return nil, corrupt("the series have no GPU ids")
	}
	t := make([]schemas.Series, d.series.rows)
	for i := range t {
		t[i].MemoryTotal = schemas.Absent64
	}
	columns, at, buffer := seriesColumns(), 0, 0
	for i, c := range letters {
		if c == layoutMissing {
			continue
		}
		var err error
		if columns[i].text {
			err = d.readText(t, i, c, d.series.buffers[buffer:])
		} else {
			err = d.readInteger(t, i, c, at, buffer)
		}
		if err != nil {
			return nil, err
		}
		buffer += d.widths[at]
		at++
	}
	return t, nil
}

func (d *SampleDecoder) readText(t []schemas.Series, i int, letter byte, buffers [][]byte) error {
	switch {
	case i == 0 && letter == layoutUUID:
		return uuids(t, buffers[1])
	case letter != layoutText:
		return corrupt("text column %d has the letter %q", i, letter)
	}
	return texts(buffers[1:3], len(t), func(k int, v string) {
		switch i {
		case 0:
			t[k].GPU = v
		case 1:
			t[k].Slice = v
		case 2:
			t[k].Model = v
		}
	})
}

func (d *SampleDecoder) readInteger(t []schemas.Series, i int, letter byte, at, buffer int) error {
	columns := seriesColumns()
	c, ok := parseLetter(letter, &columns[i])
	if !ok || c.delta {
		return corrupt("column %s has the letter %q", columns[i].name, letter)
	}
	n, err := integersOf(&d.series, at, buffer, c)
	if err != nil {
		return err
	}
	absent := schemas.Absent64
	if i == 3 {
		absent = 0
	}
	d.wide = expand(d.wide, n, absent)
	for k, v := range d.wide {
		if i == 3 {
			t[k].Interval = uint32(v)
		} else {
			t[k].MemoryTotal = v
		}
	}
	return nil
}

func uuids(t []schemas.Series, data []byte) error {
	if len(data) < 16*len(t) {
		return corrupt("the GPU ids are cut")
	}
	for i := range t {
		t[i].GPU = uuidPrefix + uuid.UUID(data[16*i:16*i+16]).String()
	}
	return nil
}

// texts walks a utf8 column: its offsets and data.
func texts(b [][]byte, rows int, fn func(row int, v string)) error {
	return spans(b[0], rows, len(b[1]), func(row, from, to int) { fn(row, string(b[1][from:to])) })
}

// spans walks rows spans by their offsets into size.
func spans(offsets []byte, rows, size int, fn func(row, from, to int)) error {
	if rows == 0 {
		return nil
	}
	if len(offsets) < 4*(rows+1) {
		return corrupt("the offsets of a column are cut")
	}
	from := binary.LittleEndian.Uint32(offsets)
	for i := range rows {
		to := binary.LittleEndian.Uint32(offsets[4*i+4:])
		if to < from || int64(to) > int64(size) {
			return corrupt("a value lies outside its column")
		}
		fn(i, int(from), int(to))
		from = to
	}
	return nil
}

//go:build synctests

package simulation

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
)

// A block is what a server understands of an insert: it is encoded in ClickHouse's
// format Native and read back here, so that what the sink would put on the wire is
// what is looked at.
type block struct {
	rows    int
	columns map[string]column
}

// A column has a number or a text per element. ends, if any, say where the
// elements of each row end; inner ends those of each element of a row.
type column struct {
	ends, inner []int
	numbers     []int64
	texts       []string
}

// of gives where the elements of a row are.
func (c column) of(row int) (from, to int) {
	if row > 0 {
		from = c.ends[row-1]
	}
	return from, c.ends[row]
}

func decode(input proto.Input) (block, error) {
	b := block{rows: input[0].Data.Rows(), columns: map[string]column{}}
	var buf proto.Buffer
	raw := proto.Block{Columns: len(input), Rows: b.rows}
	if err := raw.EncodeRawBlock(&buf, 0, input); err != nil {
		return b, fmt.Errorf("encode a block: %w", err)
	}
	r := &native{left: buf.Buf}
	if columns, rows := r.varint(), r.varint(); columns != len(input) || rows != b.rows {
		return b, fmt.Errorf("a block of %d columns and %d rows, want %d and %d", columns, rows, len(input), b.rows)
	}
	for range input {
		name, kind := r.text(), r.text()
		c, err := r.column(kind, b.rows)
		if err != nil {
			return b, fmt.Errorf("column %s: %w", name, err)
		}
		b.columns[name] = c
	}
	if len(r.left) > 0 {
		return b, fmt.Errorf("%d bytes are left of a block", len(r.left))
	}
	return b, nil
}

// native reads the format. It panics where bytes are missing: they were made here.
type native struct{ left []byte }

func (r *native) take(n int) []byte {
	b := r.left[:n]
	r.left = r.left[n:]
	return b
}

func (r *native) varint() int {
	v, n := binary.Uvarint(r.left)
	r.take(n)
	return int(v)
}

func (r *native) text() string { return string(r.take(r.varint())) }

const lowCardinality = "LowCardinality(String)"

func (r *native) column(kind string, rows int) (c column, err error) {
	if strings.Contains(kind, lowCardinality) {
		r.take(8) // version of the dictionary's layout, before everything else
	}
	for strings.HasPrefix(kind, "Array(") {
		kind = kind[len("Array(") : len(kind)-1]
		c.inner = r.ends(rows)
		if c.ends == nil {
			c.ends, c.inner = c.inner, nil
		}
		rows = r.last(c)
	}
	switch kind {
	case lowCardinality:
		c.texts = r.dictionary(rows)
	case "String":
		c.texts = make([]string, rows)
		for i := range c.texts {
			c.texts[i] = r.text()
		}
	default:
		c.numbers, err = r.integers(kind, rows)
	}
	return c, err
}

func (r *native) last(c column) int {
	ends := c.ends
	if c.inner != nil {
		ends = c.inner
	}
	if len(ends) == 0 {
		return 0
	}
	return ends[len(ends)-1]
}

func (r *native) ends(rows int) []int {
	ends := make([]int, rows)
	for i := range ends {
		ends[i] = int(binary.LittleEndian.Uint64(r.take(8)))
	}
	return ends
}

func (r *native) dictionary(rows int) []string {
	texts := make([]string, rows)
	if rows == 0 {
		return texts
	}
	width := 1 << (binary.LittleEndian.Uint64(r.take(8)) & 0xff)
	dict := make([]string, binary.LittleEndian.Uint64(r.take(8)))
	for i := range dict {
		dict[i] = r.text()
	}
	r.take(8) // rows once more
	for i := range texts {
		texts[i] = dict[unsigned(r.take(width))]
	}
	return texts
}

func unsigned(b []byte) (v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}

// integers reads numbers of the width of a type: enums, instants and decimals are
// integers underneath.
func (r *native) integers(kind string, rows int) ([]int64, error) {
	var width int
	signed := true
	base, _, _ := strings.Cut(kind, "(")
	switch base {
	case "Bool", "UInt8":
		width, signed = 1, false
	case "UInt16":
		width, signed = 2, false
	case "UInt32":
		width, signed = 4, false
	case "Int8", "Enum8":
		width = 1
	case "Int16":
		width = 2
	case "Int32":
		width = 4
	case "Int64", "UInt64", "DateTime64", "Decimal":
		width = 8
	default:
		return nil, fmt.Errorf("type %s is not known here", kind)
	}
	numbers := make([]int64, rows)
	for i := range numbers {
		v := unsigned(r.take(width))
		numbers[i] = int64(v)
		if signed {
			shift := 64 - 8*width
			numbers[i] = int64(v<<shift) >> shift
		}
	}
	return numbers, nil
}

package columns

import (
	"github.com/ClickHouse/ch-go/proto"

	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// A Block is the rows of one insert into one table.
type Block struct {
	Table string
	input proto.Input
	reset []func()
}

// Input is the block's columns. It is valid until the next append or Reset.
func (b *Block) Input() proto.Input { return b.input }

// Rows is how many rows the table gets.
func (b *Block) Rows() int {
	if len(b.input) == 0 {
		return 0
	}
	return b.input[0].Data.Rows()
}

// Reset empties the block and keeps its memory.
func (b *Block) Reset() {
	for _, f := range b.reset {
		f()
	}
}

// add gives the block a column; resetting it is the block's business.
func (b *Block) add(name string, data proto.ColInput) {
	b.input = append(b.input, proto.InputColumn{Name: name, Data: data})
}

func newBlock(t clickhouse.Table) Block { return Block{Table: t.Name} }

// typed sends a column of integers under the type of the table's column:
// instants, decimals and enums are integers underneath.
type typed struct {
	proto.ColInput
	kind proto.ColumnType
}

func (t typed) Type() proto.ColumnType { return t.kind }

// arrays is Array(T): where each row's elements end, and the elements. Columns
// of one cell share their ends.
type arrays struct {
	ends *proto.ColUInt64
	data proto.ColInput
}

func (a arrays) Type() proto.ColumnType { return proto.ColumnTypeArray.Sub(a.data.Type()) }

func (a arrays) Rows() int { return len(*a.ends) }

func (a arrays) EncodeState(b *proto.Buffer) {
	if s, ok := a.data.(proto.StateEncoder); ok {
		s.EncodeState(b)
	}
}

func (a arrays) EncodeColumn(b *proto.Buffer) {
	a.ends.EncodeColumn(b)
	a.data.EncodeColumn(b)
}

func (a arrays) WriteColumn(w *proto.Writer) {
	a.ends.WriteColumn(w)
	a.data.WriteColumn(w)
}

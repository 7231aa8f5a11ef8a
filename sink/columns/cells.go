package columns

import (
	"reflect"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// Cells builds blocks of table cells from batches of cost facts.
type Cells struct {
	Block
	cell, row []factColumn
	version   proto.ColUInt64
	knownAt   proto.ColInt64
	ends      proto.ColUInt64 // of each cell's rows, counted over the block
	runsEnd   proto.ColUInt64 // of each row's runs
	runs      proto.ColUInt32
	rows      int
}

// A factColumn is one declared column of schemas.Costs, as text or as numbers.
type factColumn struct {
	field  int
	text   *text
	values slicesOf
}

// NewCells makes an empty builder.
func NewCells() *Cells {
	table := clickhouse.Cells()
	c := &Cells{Block: newBlock(table)}
	costs := reflect.TypeFor[schemas.Costs]()
	for i := range costs.NumField() {
		f := costs.Field(i)
		name := f.Tag.Get("col")
		switch {
		case name == "" || name == "runs":
		case f.Tag.Get("of") == "cell":
			c.cell = append(c.cell, c.declare(i, f.Type, name, table.Column(name).Type, nil))
		default:
			name = clickhouse.RowPrefix + name
			kind := string(proto.ColumnType(table.Column(name).Type).Elem())
			c.row = append(c.row, c.declare(i, f.Type, name, kind, &c.ends))
		}
	}
	c.add("version", &c.version)
	c.add("known_at", typed{&c.knownAt, proto.ColumnType(table.Column("known_at").Type)})
	c.add(clickhouse.RowPrefix+"runs", arrays{&c.ends, arrays{&c.runsEnd, &c.runs}})
	c.reset = append(c.reset, func() {
		c.version, c.knownAt, c.rows = c.version[:0], c.knownAt[:0], 0
		c.ends, c.runsEnd, c.runs = c.ends[:0], c.runsEnd[:0], c.runs[:0]
	})
	return c
}

// declare adds a column; with ends it is an array per cell.
func (c *Cells) declare(field int, t reflect.Type, name, kind string, ends *proto.ColUInt64) factColumn {
	f := factColumn{field: field}
	var data proto.ColInput
	if t == reflect.TypeFor[schemas.Text]() {
		f.text = newText()
		data = f.text
		c.reset = append(c.reset, f.text.reset)
	} else {
		f.values, data = newNumbers(t.Elem(), kind)
		c.reset = append(c.reset, f.values.reset)
	}
	if ends != nil {
		data = arrays{ends, data}
	}
	c.add(name, data)
	return f
}

// Facts is how many cost facts the block holds; Rows counts cells.
func (c *Cells) Facts() int { return c.rows }

// Append adds the cells of one record: they all have its version and append
// time. A cell without rows comes as one row with state 0.
func (c *Cells) Append(b *schemas.Costs, version uint64, knownAt int64) {
	source := reflect.ValueOf(b).Elem()
	starts := cellStarts(b)
	for _, f := range c.cell {
		f.appendAt(source, starts)
	}
	for range starts {
		c.version = append(c.version, version)
		c.knownAt = append(c.knownAt, knownAt)
	}
	for from := 0; from < b.Len(); {
		to := from
		for to < b.Len() && b.State[to] != 0 {
			to++
		}
		c.appendRows(source, b, from, to)
		from = to + 1 // past the row that marks an empty cell
	}
	c.appendEnds(b, starts)
}

// appendEnds says where each cell's rows end, not counting empty cells' marks.
func (c *Cells) appendEnds(b *schemas.Costs, starts []int) {
	end := uint64(0)
	if n := len(c.ends); n > 0 {
		end = c.ends[n-1]
	}
	for i, from := range starts {
		to := b.Len()
		if i+1 < len(starts) {
			to = starts[i+1]
		}
		for _, state := range b.State[from:to] {
			if state != 0 {
				end++
			}
		}
		c.ends = append(c.ends, end)
	}
}

// appendRows adds the rows [from, to), all of them with a state.
func (c *Cells) appendRows(source reflect.Value, b *schemas.Costs, from, to int) {
	if from == to {
		return
	}
	for _, f := range c.row {
		f.appendRange(source, from, to)
	}
	first := uint32(0)
	if from > 0 {
		first = b.RunsEnd[from-1]
	}
	shift := uint64(len(c.runs)) - uint64(first)
	for _, end := range b.RunsEnd[from:to] {
		c.runsEnd = append(c.runsEnd, uint64(end)+shift)
	}
	c.runs = append(c.runs, b.Runs[first:b.RunsEnd[to-1]]...)
	c.rows += to - from
}

func (f factColumn) appendRange(source reflect.Value, from, to int) {
	at := source.Field(f.field).Addr().Interface()
	if f.text == nil {
		f.values.appendRange(at, from, to)
		return
	}
	t := at.(*schemas.Text)
	f.text.learn(t.Dict)
	f.text.appendIndex(t.Index[from:to])
}

func (f factColumn) appendAt(source reflect.Value, rows []int) {
	at := source.Field(f.field).Addr().Interface()
	if f.text == nil {
		for _, row := range rows {
			f.values.appendAt(at, row)
		}
		return
	}
	t := at.(*schemas.Text)
	f.text.learn(t.Dict)
	for _, row := range rows {
		f.text.appendOne(t.Index[row])
	}
}

// cellStarts finds the first row of each cell.
func cellStarts(b *schemas.Costs) []int {
	var starts []int
	for i := range b.Len() {
		if i == 0 || b.Window[i] != b.Window[i-1] || !sameText(b.GPU, i) || !sameText(b.Node, i) || !sameText(b.Resource, i) {
			starts = append(starts, i)
		}
	}
	return starts
}

// sameText compares a row with the one before; a dictionary may hold a string
// twice.
func sameText(t schemas.Text, i int) bool {
	a, b := t.Index[i], t.Index[i-1]
	return a == b || t.Dict[a] == t.Dict[b]
}

package columns

import (
	"reflect"

	"github.com/ClickHouse/ch-go/proto"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// Samples builds blocks of the raw table of samples.
type Samples struct {
	Block
	node       *text
	gpu        *text
	slice      *text
	model      *text
	interval   proto.ColUInt32
	memory     proto.ColUInt64
	appendedAt proto.ColInt64
	reading    []factColumn
}

// NewSamples makes an empty builder.
func NewSamples() *Samples {
	table := clickhouse.FindTable(clickhouse.LogTable(schemas.StreamSamples))
	s := &Samples{Block: newBlock(table), node: newText(), gpu: newText(), slice: newText(), model: newText()}
	for _, c := range []struct {
		name string
		data *text
	}{{"node", s.node}, {"gpu", s.gpu}, {"slice", s.slice}, {"gpu_model", s.model}} {
		s.add(c.name, c.data)
		s.reset = append(s.reset, c.data.reset)
	}
	s.add("interval", &s.interval)
	s.add("memory_total_bytes", &s.memory)
	s.add("appended_at", typed{&s.appendedAt, proto.ColumnType(table.Column("appended_at").Type)})
	s.reset = append(s.reset, func() {
		s.interval, s.memory, s.appendedAt = s.interval[:0], s.memory[:0], s.appendedAt[:0]
	})
	samples := reflect.TypeFor[schemas.Samples]()
	for i := range samples.NumField() {
		name := samples.Field(i).Tag.Get("col")
		if name == "" || name == "series" {
			continue
		}
		values, data := newNumbers(samples.Field(i).Type.Elem(), table.Column(name).Type)
		s.reading = append(s.reading, factColumn{field: i, values: values})
		s.reset = append(s.reset, values.reset)
		s.add(name, data)
	}
	return s
}

// Append adds the samples of one record, which was appended at appendedAt.
func (s *Samples) Append(b *schemas.Samples, appendedAt int64) {
	n := b.Len()
	s.node.repeat(b.Node, n)
	s.appendSeries(b)
	for range n {
		s.appendedAt = append(s.appendedAt, appendedAt)
	}
	source := reflect.ValueOf(b).Elem()
	for _, f := range s.reading {
		f.appendRange(source, 0, n)
	}
}

// appendSeries gives each row what its series says.
func (s *Samples) appendSeries(b *schemas.Samples) {
	for _, c := range []struct {
		to  *text
		get func(*schemas.Series) string
	}{
		{s.gpu, func(x *schemas.Series) string { return x.GPU }},
		{s.slice, func(x *schemas.Series) string { return x.Slice }},
		{s.model, func(x *schemas.Series) string { return x.Model }},
	} {
		c.to.remap = c.to.remap[:0]
		for i := range b.Series {
			c.to.remap = append(c.to.remap, c.to.entry(c.get(&b.Series[i])))
		}
		for _, i := range b.Index {
			c.to.appendOne(uint32(i))
		}
	}
	for _, i := range b.Index {
		s.interval = append(s.interval, b.Series[i].Interval)
		s.memory = append(s.memory, b.Series[i].MemoryTotal)
	}
}

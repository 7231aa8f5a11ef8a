package main

import "github.com/ClickHouse/ch-go/proto"

// encoded is a column whose bytes are ready to be sent.
type encoded struct {
	kind  proto.ColumnType
	rows  int
	bytes []byte
}

func (e encoded) Type() proto.ColumnType       { return e.kind }
func (e encoded) Rows() int                    { return e.rows }
func (e encoded) EncodeColumn(b *proto.Buffer) { b.PutRaw(e.bytes) }
func (e encoded) WriteColumn(w *proto.Writer)  { w.ChainWrite(e.bytes) }

// encode does beforehand all that can be done before the server is asked.
func encode(block proto.Input) proto.Input {
	out := make(proto.Input, len(block))
	for i, c := range block {
		var b proto.Buffer
		if s, ok := c.Data.(proto.StateEncoder); ok {
			s.EncodeState(&b)
		}
		c.Data.EncodeColumn(&b)
		out[i] = proto.InputColumn{Name: c.Name, Data: encoded{c.Data.Type(), c.Data.Rows(), b.Buf}}
	}
	return out
}

package wire

import (
	"fmt"
	"reflect"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/gpumeter/gpumeter/schemas"
)

// Schema is the Arrow schema that a stream's records carry. Samples carry none:
// theirs is Packed and the layout header.
func Schema(stream schemas.Stream) (*arrow.Schema, error) {
	switch stream.Row.(type) {
	case schemas.Samples:
		return nil, fmt.Errorf("stream %s has a schema per layout: see Packed", stream.Name)
	case schemas.Costs:
		return costSchema(nil), nil
	}
	return rowSchema(reflect.TypeOf(stream.Row))
}

// A PackedColumn is a column of a message of samples. Units are the multiples of
// its canonical unit in which it may be written, nil for a text. Differences say
// how it is written, a reader goes by the letter.
type PackedColumn struct {
	Name        string
	Units       []uint64
	Differences bool
}

// Packed gives the columns of the series message and of the rows message, in the
// order of the letters in the layout header.
func Packed() (series, rows []PackedColumn) {
	for _, c := range seriesColumns() {
		series = append(series, packed(c))
	}
	for _, c := range sampleColumns() {
		rows = append(rows, packed(c))
	}
	return series, rows
}

func packed(c column) PackedColumn {
	p := PackedColumn{Name: c.name, Differences: c.delta}
	if !c.text {
		p.Units = c.units[:]
	}
	return p
}

package meter

import (
	"reflect"

	"github.com/gpumeter/gpumeter/schemas"
)

// startsCell reports whether row i is the first of its cell.
func startsCell(c *schemas.Costs, i int) bool {
	return i == 0 || c.Window[i] != c.Window[i-1] || c.GPU.Index[i] != c.GPU.Index[i-1] || c.Resource.Index[i] != c.Resource.Index[i-1]
}

func countCells(c *schemas.Costs) int64 {
	var n int64
	for i := range c.Len() {
		if startsCell(c, i) {
			n++
		}
	}
	return n
}

// splitCells cuts c in two at the cell boundary nearest to its middle. A single
// cell is not cut: ok is false.
func splitCells(c *schemas.Costs) (left, right *schemas.Costs, ok bool) {
	middle := c.Len() / 2
	for d := range c.Len() {
		for _, at := range [2]int{middle - d, middle + d} {
			if at > 0 && at < c.Len() && startsCell(c, at) {
				return rowsOf(c, 0, at), rowsOf(c, at, c.Len()), true
			}
		}
	}
	return nil, nil, false
}

// rowsOf copies the rows [from, to) of c. It goes over the fields of Costs by
// reflection: a column added to the declaration is cut like the others, and this
// happens for a record in millions.
func rowsOf(c *schemas.Costs, from, to int) *schemas.Costs {
	part := new(schemas.Costs)
	src, dst := reflect.ValueOf(c).Elem(), reflect.ValueOf(part).Elem()
	for i := range src.NumField() {
		switch column := src.Field(i).Interface().(type) {
		case schemas.Text:
			dst.Field(i).Set(reflect.ValueOf(textOf(column, from, to)))
		default:
			if src.Type().Field(i).Name != "Runs" {
				dst.Field(i).Set(src.Field(i).Slice(from, to))
			}
		}
	}
	var base uint32
	if from > 0 {
		base = c.RunsEnd[from-1]
	}
	part.Runs, part.RunsEnd = c.Runs[base:c.RunsEnd[to-1]], make([]uint32, to-from)
	for i := range part.RunsEnd {
		part.RunsEnd[i] = c.RunsEnd[from+i] - base
	}
	return part
}

// textOf is the rows [from, to) of t with a dictionary of what they use.
func textOf(t schemas.Text, from, to int) schemas.Text {
	part := schemas.Text{Index: make([]uint32, 0, to-from)}
	place := make(map[uint32]uint32)
	for _, old := range t.Index[from:to] {
		at, ok := place[old]
		if !ok {
			at = uint32(len(part.Dict))
			place[old] = at
			part.Dict = append(part.Dict, t.Dict[old])
		}
		part.Index = append(part.Index, at)
	}
	return part
}

package meter

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// drawCosts has cells of one to four rows, and a different value in every field.
func drawCosts(t *rapid.T) *schemas.Costs {
	sizes := rapid.SliceOfN(rapid.IntRange(1, 4), 1, 8).Draw(t, "rows of each cell")
	n := 0
	for _, size := range sizes {
		n += size
	}
	c := newCosts(n)
	row := 0
	for cell, size := range sizes {
		for range size {
			c.Window[row] = int64(cell)
			c.GPUMs[row], c.PositionTo[row] = int64(row), uint32(row)
			setText(&c.Node, row, "n")
			setText(&c.GPU, row, "g")
			setText(&c.Resource, row, fmt.Sprint("r", cell%2))
			setText(&c.Labels, row, fmt.Sprint("labels of ", row))
			for k := range row % 3 {
				c.Runs = append(c.Runs, uint32(row), uint32(k))
			}
			c.RunsEnd[row] = uint32(len(c.Runs))
			row++
		}
	}
	return c
}

// rowOf reads row i of every column.
func rowOf(c *schemas.Costs, i int) string {
	out := ""
	v := reflect.ValueOf(c).Elem()
	for f := range v.NumField() {
		name := v.Type().Field(f).Name
		switch column := v.Field(f).Interface().(type) {
		case schemas.Text:
			out += fmt.Sprintf("%s=%q ", name, text(column, i))
		default:
			if name != "Runs" && name != "RunsEnd" {
				out += fmt.Sprintf("%s=%v ", name, v.Field(f).Index(i).Interface())
			}
		}
	}
	from := uint32(0)
	if i > 0 {
		from = c.RunsEnd[i-1]
	}
	return out + fmt.Sprint("runs=", c.Runs[from:c.RunsEnd[i]])
}

// Cutting keeps every row whole and in order, and no cell in two halves.
func TestSplitCells(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCosts(t)
		left, right, ok := splitCells(c)
		if !ok {
			if countCells(c) != 1 {
				t.Fatalf("%d cells were not cut", countCells(c))
			}
			return
		}
		if countCells(left)+countCells(right) != countCells(c) || left.Len() == 0 || right.Len() == 0 {
			t.Fatalf("%d cells became %d and %d", countCells(c), countCells(left), countCells(right))
		}
		for i := range c.Len() {
			part, at := left, i
			if i >= left.Len() {
				part, at = right, i-left.Len()
			}
			if got, want := rowOf(part, at), rowOf(c, i); got != want {
				t.Fatalf("row %d became %s, was %s", i, got, want)
			}
		}
		if len(left.Labels.Dict) != left.Len() {
			t.Fatalf("a half of %d labels has a dictionary of %d", left.Len(), len(left.Labels.Dict))
		}
	})
}

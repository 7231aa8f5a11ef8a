package verify

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// tiling checks that the rows of each cell cover its device, all of its time in
// that window, once.
type tiling struct {
	tally
	window int64
	next   func() (cell, bool)
	halt   func()
	due    cell // the next one that should have rows
	more   bool
	at     cell // the one whose rows are being collected: its tiles are the rows'
}

// A cell is one GPU of one resource in one window.
type cell struct {
	resource, gpu string
	window        int64 // Unix ms
	tiles         []tile
}

// A tile is a rectangle of positions in ppm of a GPU and instants in Unix ms.
type tile struct {
	x0, x1, t0, t1 int64
	row            string
}

func newTiling(p *paid, window int64) *tiling {
	t := &tiling{tally: newTally("tiling", "the rows of each resource, GPU and window cover the device once"), window: window}
	t.next, t.halt = iter.Pull(cellsOf(p, window))
	t.due, t.more = t.next()
	return t
}

func (t *tiling) stop() { t.halt() }

// compare orders cells as rows are ordered.
func (c *cell) compare(o *cell) int {
	return cmp.Or(strings.Compare(c.resource, o.resource), strings.Compare(c.gpu, o.gpu), cmp.Compare(c.window, o.window))
}

func (c *cell) name() string {
	return fmt.Sprintf("resource=%s gpu=%s window=%s", c.resource, c.gpu, instant(c.window))
}

// cellsOf yields every cell that should have rows, in order, with the areas that
// they should cover: one, or one for each record of the resource in the window.
func cellsOf(p *paid, window int64) iter.Seq[cell] {
	return func(yield func(cell) bool) {
		for _, resource := range p.resources {
			for _, gpu := range gpusOf(p.stays[resource]) {
				for c := range cellsOfGPU(p.stays[resource], gpu, window) {
					c.resource, c.gpu = resource, gpu
					if !yield(c) {
						return
					}
				}
			}
		}
	}
}

func gpusOf(stays []stay) []string {
	var all []string
	for _, s := range stays {
		all = append(all, s.GPUs...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func cellsOfGPU(stays []stay, gpu string, window int64) iter.Seq[cell] {
	return func(yield func(cell) bool) {
		c := cell{window: oracle.Absent}
		for _, s := range stays {
			k := int64(slices.Index(s.GPUs, gpu))
			for t := s.Start; k >= 0 && t < s.End; {
				begin := windowStart(t, window)
				end := min(begin+window, windowStart(t, hour)+hour, s.End)
				if begin != c.window {
					if c.tiles != nil && !yield(c) {
						return
					}
					c = cell{window: begin}
				}
				c.tiles = append(c.tiles, tile{x0: k * million, x1: (k + 1) * million, t0: t, t1: end})
				t = end
			}
		}
		if c.tiles != nil {
			yield(c)
		}
	}
}

func (t *tiling) row(r *oracle.Row) {
	this := cell{resource: r.Resource, gpu: r.GPU, window: windowStart(r.WindowStart, t.window)}
	if t.at.compare(&this) != 0 {
		t.finish()
		t.at = this
	}
	for i := 0; i+1 < len(r.Runs); i += 2 {
		t.at.tiles = append(t.at.tiles, tile{r.PositionFrom, r.PositionTo, this.window + r.Runs[i], this.window + r.Runs[i+1], keyOf(r)})
	}
}

func (t *tiling) end() {
	t.finish()
	for t.more {
		t.missing()
	}
}

// finish judges the cell whose rows are complete.
func (t *tiling) finish() {
	if t.at.tiles == nil {
		return
	}
	for t.more && t.due.compare(&t.at) < 0 {
		t.missing()
	}
	t.Compared++
	if !t.more || t.due.compare(&t.at) > 0 {
		t.broken(t.at.tiles[0].row, "", "no row: the resource does not have the GPU then", "a row")
		return
	}
	if why := uncovered(t.due.tiles, t.at.tiles); why != nil {
		name := why.row
		if name == "" {
			name = t.due.name()
		}
		t.broken(name, "", "each part of the GPU once", fmt.Sprintf("%s positions %d to %d from %s to %s", why.found, why.x0, why.x1, instant(why.t0), instant(why.t1)))
	}
	t.due, t.more = t.next()
}

func (t *tiling) missing() {
	t.Compared++
	t.broken(t.due.name(), "", "rows", "none")
	t.due, t.more = t.next()
}

// A fault is a rectangle that is not covered once.
type fault struct {
	tile
	found string
}

// uncovered compares what should be covered with what is, one stretch without a
// change after the other; nil when all is well.
func uncovered(due, found []tile) *fault {
	var cuts []int64
	for _, t := range slices.Concat(due, found) {
		cuts = append(cuts, t.t0, t.t1)
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i := 1; i < len(cuts); i++ {
		if f := uncoveredAt(during(due, cuts[i-1]), during(found, cuts[i-1])); f != nil {
			f.t0, f.t1 = cuts[i-1], cuts[i]
			return f
		}
	}
	return nil
}

// during lists the tiles that have an instant, and width, in order of position.
func during(tiles []tile, at int64) []tile {
	var list []tile
	for _, t := range tiles {
		if t.t0 <= at && at < t.t1 && t.x0 < t.x1 {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b tile) int { return cmp.Compare(a.x0, b.x0) })
	return list
}

func uncoveredAt(due, found []tile) *fault {
	if len(due) == 0 {
		if len(found) == 0 {
			return nil
		}
		return &fault{found[0], "the resource does not exist, a row at"}
	}
	x := due[0].x0
	for _, f := range found {
		switch {
		case f.x0 > x:
			return &fault{tile{x0: x, x1: f.x0}, "no row at"}
		case f.x0 < x:
			return &fault{tile{x0: f.x0, x1: min(x, f.x1), row: f.row}, "one row more at"}
		}
		x = f.x1
	}
	if x < due[0].x1 {
		return &fault{tile{x0: x, x1: due[0].x1}, "no row at"}
	}
	if x > due[0].x1 {
		last := found[len(found)-1]
		return &fault{tile{x0: due[0].x1, x1: x, row: last.row}, "a row beyond the GPU at"}
	}
	return nil
}

package idle

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// States of a stretch: schemas'.
const (
	active   = uint32(schemas.StateActive)
	idleHeld = uint32(schemas.StateIdleHeld)
	idle     = uint32(schemas.StateIdle)
	unknown  = uint32(schemas.StateUnknown)
	released = schemas.StateReleased
)

const (
	maxRow  = 31 * day // of a longer row this much is taken
	maxStep = minute   // of one GPU's samples, as far as others wait for it
)

// A tariff is what an hour of a hold costs.
type tariff struct {
	currency string
	perHour  int64 // nano
}

// A stretch is measured time of one GPU in one state, within one cell.
type stretch struct {
	from, to int64
	cost     int64 // nano, of the whole
	memory   uint64
	tariff   *tariff
	place    int64 // of the first record that it comes from
	state    uint32
	width    uint32 // GPUs and slices that the allocation is said to hold
}

func (s *stretch) idle() bool { return s.state != active }

// costOf is the part of its cost in [from, to).
func (s *stretch) costOf(from, to int64) int64 {
	from, to = max(from, s.from), min(to, s.to)
	if from >= to {
		return 0
	}
	return proportion(s.cost, to-s.from, s.to-s.from) - proportion(s.cost, from-s.from, s.to-s.from)
}

// slice cuts out [from, to).
func (s stretch) slice(from, to int64) stretch {
	s.cost = s.costOf(from, to)
	s.from, s.to = from, to
	return s
}

// A part is a GPU or slice that the allocation holds, with what it did in the
// trailing window.
type part struct {
	node, gpu, slice string
	engine           uint32 // samples partition that speaks for it
	first            int64  // earliest instant that was said
	end              int64  // everything before it has been said
	step             int64  // how much the last row that moved end said
	released         int64  // since when it is no longer held; never while it is
	freed            int64  // place of the record that said so; never while it is held
	left             uint32 // how many GPUs the allocation holds after that
	tariff           *tariff
	stretches        []stretch
}

const never = int64(1)<<62 - 1

func (p *part) compare(node, gpu, slice string) int {
	return cmp.Or(strings.Compare(p.node, node), strings.Compare(p.gpu, gpu), strings.Compare(p.slice, slice))
}

func (p *part) held() bool { return p.released == never }

// name is how a finding calls it.
func (p *part) name() string {
	if p.slice == "" {
		return p.gpu
	}
	return p.gpu + "/" + p.slice
}

// said notes that row speaks for its stretch.
func (p *part) said(row *schemas.Activity) {
	if row.To > p.end {
		p.step = min(row.To-max(row.From, p.end), maxStep)
		p.end, p.engine = row.To, row.Engine
	}
	p.first = min(p.first, row.From)
	if p.released != never && row.To > p.released && row.State != unknown {
		p.released, p.freed = never, never
	}
}

// replace puts s, if it is a state, in the place of what was known of [from, to).
// gone and come are told the stretches that count no more and that count now.
func (p *part) replace(from, to int64, s *stretch, cell int64, gone, come func(*stretch)) {
	i := len(p.stretches)
	if i > 0 && p.stretches[i-1].to > from {
		i = p.clear(from, to, gone)
	}
	if s == nil {
		return
	}
	for at := s.from; at < s.to; {
		next := min(s.to, at-mod(at, cell)+cell)
		c := s.slice(at, next)
		come(&c)
		i = p.insert(i, &c, cell)
		at = next
	}
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

// clear removes [from, to) and returns the index of what follows.
func (p *part) clear(from, to int64, gone func(*stretch)) int {
	i, _ := slices.BinarySearchFunc(p.stretches, from, func(s stretch, t int64) int {
		if s.to <= t {
			return -1
		}
		return 1
	})
	j := i
	var left, right stretch
	for ; j < len(p.stretches) && p.stretches[j].from < to; j++ {
		s := &p.stretches[j]
		cut := s.slice(max(s.from, from), min(s.to, to))
		gone(&cut)
		if s.from < from {
			left = s.slice(s.from, from)
		}
		if s.to > to {
			right = s.slice(to, s.to)
		}
	}
	var rest []stretch
	if left.to > left.from {
		rest = append(rest, left)
	}
	after := i + len(rest)
	if right.to > right.from {
		rest = append(rest, right)
	}
	p.stretches = slices.Replace(p.stretches, i, j, rest...)
	return after
}

// insert puts c at i, or lengthens the stretch before by it, and returns the index
// of what follows.
func (p *part) insert(i int, c *stretch, cell int64) int {
	if i > 0 {
		b := &p.stretches[i-1]
		if b.to == c.from && b.state == c.state && b.tariff == c.tariff && b.width == c.width && mod(b.from, cell) < mod(c.from, cell) {
			b.to, b.cost, b.memory = c.to, b.cost+c.cost, max(b.memory, c.memory)
			return i
		}
	}
	p.stretches = slices.Insert(p.stretches, i, *c)
	return i + 1
}

// release lets go of the GPU at t. What was said of later time was not so.
func (p *part) release(place, t int64, left uint32, gone func(*stretch)) {
	if n := len(p.stretches); n > 0 && p.stretches[n-1].to > t {
		p.clear(t, never, gone)
	}
	p.released, p.freed, p.left, p.end = t, place, left, max(p.end, t)
}

// drop forgets what lies before t.
func (p *part) drop(t int64) {
	n := 0
	for n < len(p.stretches) && p.stretches[n].to <= t {
		n++
	}
	p.stretches = slices.Delete(p.stretches, 0, n)
}

// latestIdle is the last idle stretch before t, nil if there is none.
func (p *part) latestIdle(t int64) *stretch {
	for i := len(p.stretches) - 1; i >= 0; i-- {
		if s := &p.stretches[i]; s.from < t && s.idle() {
			return s
		}
	}
	return nil
}

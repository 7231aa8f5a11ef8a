package engine

import (
	"slices"
	"strings"
)

// A node is a server by name. Its GPUs are kept only where the engine owns it.
type node struct {
	name  text
	owned bool
	gpus  map[string]*gpu
	hint  []hint // the series of the last batch, by position: the next one is alike
}

// A gpu is a device of an owned node, known from a sample, a hold or a resource.
type gpu struct {
	node     *node
	id       text
	name     string
	series   []*series  // of the whole device first, then of slices
	holds    []hold     // unsorted
	seats    []seat     // records of resources that have it, unsorted
	accounts []*account // one per resource that ever had it
	pieces   []piece    // its time where a resource owns it, valid before stale
	stale    int64      // pieces from here on are to be built anew; never = none
	cursor   int        // where the last search in pieces ended

	inherited stretch // of final windows without fingerprints: see inherit.go

	marks   []stretch // stretches of final windows that changed
	marked  bool      // in Engine.marked
	pending []stretch // those that are to be recomputed: whole windows, sorted; in Engine.pending if there are any
	shifted bool      // pending is another than the archive has
	awaited bool      // in Engine.awaited
	low     int64     // earliest instant touched since early results were last computed
	seen    int64     // horizon at that time
	lost    int64     // windows that start before it can no longer be recomputed
	base    int64     // holds that end before it, or there, may be in the archive alone
	hot     int64     // what is before it lies in the archive; forever = nothing does
	first   int64     // earliest event that names it; never = none

	stirred bool  // in Engine.stirred
	expires int64 // known end of the piece that the horizon lies in; never = none
	late    bool  // told of something too late
}

// A stretch is a half-open span of time.
type stretch struct{ from, to int64 }

// A hold is an allocation's grip on a GPU or slice for a time.
type hold struct {
	alloc    *allocation
	slice    string
	share    int32 // ppm, 0 = not given
	from, to int64
}

// A seat is a record's place for a GPU: the k-th of the resource.
type seat struct {
	rec *record
	k   uint32
}

func (e *Engine) node(name string) *node {
	if n, ok := e.nodes[name]; ok {
		return n
	}
	n := &node{name: e.texts.of(name), owned: e.cfg.Owns(name), gpus: map[string]*gpu{}}
	e.nodes[e.texts.all[n.name]] = n
	return n
}

// gpu finds or makes a GPU of an owned node.
func (e *Engine) gpu(n *node, id string) *gpu {
	if g, ok := n.gpus[id]; ok {
		return g
	}
	g := &gpu{node: n, id: e.texts.of(id), stale: never, low: never, seen: forever, base: forever, hot: forever, lost: e.lost, first: never, expires: never}
	g.name = e.texts.all[g.id]
	g.series = []*series{newSeries(g, 0, "", e.texts.sums[0])}
	n.gpus[g.name] = g
	e.gpus = append(e.gpus, g)
	e.homeless = append(e.homeless, g)
	return g
}

// listens finds or makes the series of a slice, the whole device being "".
func (e *Engine) listens(g *gpu, slice string) *series {
	for _, s := range g.series {
		if s.name == slice {
			return s
		}
	}
	id := e.texts.of(slice)
	s := newSeries(g, id, e.texts.all[id], e.texts.sums[id])
	g.series = append(g.series, s)
	e.begin(s)
	return s
}

// mark notes that [from, to) of g may have changed. Final windows are recomputed
// by the next Advance; others are when they are due.
func (e *Engine) mark(g *gpu, from, to int64) {
	if from >= to {
		return
	}
	g.low = min(g.low, from)
	if from >= e.final {
		return
	}
	if n := len(g.marks); n > 0 && from <= g.marks[n-1].to && to >= g.marks[n-1].from {
		g.marks[n-1] = stretch{min(from, g.marks[n-1].from), max(to, g.marks[n-1].to)}
	} else {
		g.marks = append(g.marks, stretch{from, to})
	}
	if !g.marked {
		g.marked = true
		e.marked = append(e.marked, g)
	}
}

// recut notes that the pieces of g change within [from, to): they are built anew,
// and so is what the samples on both sides of either bound say, because they speak
// only inside their piece.
func (e *Engine) recut(g *gpu, from, to int64) {
	if from >= to {
		return
	}
	g.stale = min(g.stale, from)
	e.mark(g, from, to)
	e.stirAround(g, from)
	for _, s := range g.series {
		e.markBound(s, from)
		e.markBound(s, to)
	}
}

// markBound marks what the last sample before t and the first one from t on say.
func (e *Engine) markBound(s *series, t int64) {
	if e.final == forever {
		return // nothing was computed
	}
	if t < s.gpu.hot {
		e.markColdBound(s, t)
		return
	}
	i := s.before(t)
	if i > 0 {
		x := s.at(i - 1)
		e.mark(s.gpu, x.ts, x.ts+x.reach())
	}
	if i < s.done {
		e.mark(s.gpu, s.backTo(i), s.at(i).ts)
	}
}

// settle sorts and joins the marks of g, cut to windows that are final.
func (g *gpu) settle(window, final int64) []stretch {
	for i := range g.marks {
		g.marks[i].from = floorTo(g.marks[i].from, window)
		g.marks[i].to = min(g.marks[i].to, final)
	}
	whole := slices.DeleteFunc(g.marks, func(m stretch) bool { return m.from >= m.to })
	if len(whole) == 0 {
		return nil
	}
	return joined(whole)
}

// floorTo rounds down to a multiple of unit, below zero too.
func floorTo(t, unit int64) int64 {
	rest := t % unit
	if rest < 0 {
		rest += unit
	}
	return t - rest
}

func compareInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// place is the GPU's name in reports.
func (e *Engine) place(g *gpu) string {
	return strings.Join([]string{e.texts.all[g.node.name], g.name}, "/")
}

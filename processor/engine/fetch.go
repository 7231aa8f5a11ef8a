package engine

import "github.com/gpumeter/gpumeter/schemas"

// A fleet's state is in no cache: 16,000 GPUs at 1 Hz read and write hundreds of
// megabytes a minute. A load from memory takes as long as all of the work on a
// sample, and what follows a chain of pointers waits for each load in turn. Loads
// that do not depend on each other overlap, ten and more at a time. So the hot
// loops first load, for nothing but the cache, what they are about to use.

// fetch loads the ends of the series that the rows of b are appended to.
func (e *Engine) fetch(n *node, b *schemas.Samples) {
	sum := int64(0)
	for k := range b.Series {
		sum += n.hint[k].series.last
	}
	for i := 0; i < len(b.Index); {
		j := endOfRun(b.Index, i)
		s := n.hint[b.Index[i]].series
		if at := s.n % sampleBlockLen; at > 0 {
			sum += fetch(s.tail[at:min(at+j-i, sampleBlockLen)])
		}
		i = j
	}
	e.fetched += sum
}

// fetch loads samples.
func fetch(list []sample) (sum int64) {
	for i := range list {
		sum += list[i].ts
	}
	return sum
}

// How many GPUs ahead each step of a walk over all GPUs loads: a step follows the
// pointers that the step before it has loaded.
const (
	aheadGPU     = 10
	aheadLists   = 8
	aheadHolder  = 6
	aheadWho     = 4
	aheadSamples = 2
)

// fetchAhead loads what computing the GPUs behind gpus[i] will need, each a few
// steps before it is needed.
func (e *Engine) fetchAhead(i int) {
	sum := int64(0)
	if g := e.ahead(i + aheadGPU); g != nil {
		sum += g.low + g.stale + int64(g.cursor) + int64(g.id)
	}
	if g := e.ahead(i + aheadLists); g != nil {
		if len(g.accounts) > 0 {
			sum += g.accounts[0].upTo
		}
		sum += int64(g.series[0].done)
		if k := g.cursor; k < len(g.pieces) {
			sum += g.pieces[k].to
		}
	}
	if g := e.ahead(i + aheadHolder); g != nil {
		sum += fetchHolder(g)
	}
	if g := e.ahead(i + aheadWho); g != nil && g.cursor < len(g.pieces) {
		for _, h := range g.pieces[g.cursor].holders {
			sum += int64(h.alloc.hash) + int64(h.alloc.version)
			if h.attr != nil && len(h.attr.steps) > 0 {
				sum += h.attr.steps[0].from
			}
		}
	}
	if g := e.ahead(i + aheadSamples); g != nil {
		sum += g.series[0].fetch(e.cfg.Window)
	}
	e.fetched += sum
}

func (e *Engine) ahead(i int) *gpu {
	if i < len(e.gpus) {
		return e.gpus[i]
	}
	return nil
}

func fetchHolder(g *gpu) (sum int64) {
	if len(g.accounts) > 0 {
		if blocks := g.accounts[0].blocks; len(blocks) > 0 {
			sum += blocks[len(blocks)-1].base
		}
	}
	if k := g.cursor; k < len(g.pieces) {
		if holders := g.pieces[k].holders; len(holders) > 0 {
			sum += int64(holders[0].x0)
		}
	}
	return sum
}

// fetch loads the samples behind the cursor, as many as the cadence lets expect in
// a window.
func (s *series) fetch(window int64) (sum int64) {
	if s.done == 0 {
		return 0
	}
	expected := 2 + int(3*window/reachOf(s.cadence))
	first := max(0, s.cursor-1)
	for i, end := first, min(s.done, first+expected); i < end; {
		block := s.blocks[i/sampleBlockLen]
		at := i % sampleBlockLen
		n := min(end-i, sampleBlockLen-at)
		sum += fetch(block[at : at+n])
		i += n
	}
	return sum
}

package engine

import (
	"encoding/binary"
	"slices"
)

// Time of a GPU is hot or cold. Hot samples and fingerprints, from gpu.hot on, are
// in memory; cold ones are in the archive, in chunks, and nowhere else:
//
//	            gpu.hot
//	  archive      |      memory
//	[ chunk | chunk ][ one cold sample | hot samples ... | arrivals ]
//
// The one cold sample is the last before gpu.hot: what the first hot one says
// depends on its predecessor. (Blocks hold some more that nobody looks at.)
//
// A late arrival in cold time is merged into its chunk. A mark in cold time puts
// the samples of its chunk, with their neighbours, in the place of the hot ones,
// computes, and puts the hot ones back. So all rules see a series as if it were
// whole, and the ledger does not depend on what is hot.

// patience is for how many times Config.Hot the time of a GPU that has fallen silent
// stays hot: what comes after an outage is then the end of its series, in order. A
// restart rereads what was hot of all.
const patience = 2

// retireSome moves the boundary of the GPUs whose turn it is; window is the number
// of the last one that is final. Turns spread the work over windows.
func (e *Engine) retireSome(window int64) {
	if e.cfg.Archive == nil {
		return
	}
	rounds := max(1, e.chunk/e.cfg.Window/4)
	for i := floorTo(window, rounds) + rounds - window - 1; i < int64(len(e.gpus)); i += rounds {
		e.retire(e.gpus[i])
	}
}

// boundary is where the hot time of g may begin.
func (e *Engine) boundary(g *gpu) int64 {
	t, newest := min(e.final, e.horizon), int64(forever)
	for _, s := range g.series {
		newest = max(newest, s.known)
	}
	if newest != forever {
		t = min(t, max(newest, t-patience*e.cfg.Hot))
	}
	return floorTo(t-e.cfg.Hot, e.chunk)
}

// retire moves what has become cold of g into the archive.
func (e *Engine) retire(g *gpu) {
	hot := e.boundary(g)
	if hot <= g.hot {
		return
	}
	e.recollect(g)
	for _, s := range g.series {
		e.retireSamples(s, hot)
	}
	g.hot = hot
	for _, s := range g.series {
		s.last = max(s.last, g.floor())
	}
	e.retireCells(g)
	e.settleBase(g)
	e.store(e.keyOf(keyGPU, g), binary.AppendVarint(binary.AppendVarint(nil, g.hot), g.base))
	e.forgetCold(g)
}

// settleBase moves the instant from which on memory has all holds of g, and drops
// the pieces before it.
func (e *Engine) settleBase(g *gpu) {
	base := g.hot
	for _, s := range g.series {
		if i := s.coldEnd(); i > 0 {
			base = min(base, s.at(i-1).ts)
		}
	}
	if base <= g.base {
		return
	}
	g.base = base
	n := 0
	for n < len(g.pieces) && g.pieces[n].to <= base {
		n++
	}
	g.pieces = slices.Delete(g.pieces, 0, n)
	g.cursor = 0
}

// uncover moves the base of g back, since a hot sample depends on one at from.
func (e *Engine) uncover(g *gpu, from int64) {
	if from < g.base {
		e.thawHolders(g, from, g.base)
		g.base, g.stale = from, min(g.stale, from)
	}
}

// Oldest is the instant before which every sample that was counted is in the
// archive: an engine that begins with it needs the others again.
func (e *Engine) Oldest() int64 {
	oldest := int64(never)
	for _, g := range e.gpus {
		for _, s := range g.series {
			if i := s.coldEnd(); i < s.n {
				oldest = min(oldest, max(s.at(i).ts, g.hot))
			}
		}
	}
	return oldest
}

// coldEnd is how many of the samples of s in memory are cold.
func (s *series) coldEnd() int {
	if s.gpu.hot == forever {
		return 0
	}
	return s.before(s.gpu.hot)
}

// floor is the last ms of cold time.
func (g *gpu) floor() int64 {
	if g.hot == forever {
		return forever
	}
	return g.hot - 1
}

func (e *Engine) store(key, value []byte) { e.fail("archiving", e.cfg.Archive.Put(key, value)) }

func (e *Engine) retireSamples(s *series, hot int64) {
	from := s.coldEnd()
	end := s.before(hot)
	for from < end {
		at := floorTo(s.at(from).ts, e.chunk)
		to := min(end, s.before(at+e.chunk))
		e.near = s.copyTo(e.near[:0], from, to)
		e.putChunk(s, at, e.near)
		from = to
	}
	e.forget(s, hot)
}

func (e *Engine) putChunk(s *series, at int64, list []sample) {
	e.store(e.chunkKey(s, at), e.chunks.encode(list, &e.texts))
}

func (e *Engine) chunkKey(s *series, at int64) []byte {
	return appendTime(e.keyOf(keySamples, s.gpu, s.name), at)
}

// retireCells moves the fingerprints of cold time.
func (e *Engine) retireCells(g *gpu) {
	for _, acc := range g.accounts {
		n := 0
		for n < len(acc.blocks) && acc.blocks[n].base*e.cfg.Window < g.hot {
			e.store(e.cellsKey(g, acc, acc.blocks[n].base), e.encodeCells(acc.blocks[n]))
			n++
		}
		acc.blocks = slices.Delete(acc.blocks, 0, n)
	}
}

// encodeCells is valid until the next call.
func (e *Engine) encodeCells(b *block) []byte {
	e.bytes = e.bytes[:0]
	for _, cell := range b.cells[:e.perBlock] {
		e.bytes = binary.LittleEndian.AppendUint64(e.bytes, cell)
	}
	return e.bytes
}

func (e *Engine) cellsKey(g *gpu, acc *account, base int64) []byte {
	return appendTime(e.keyOf(keyCells, g, acc.res.name), base)
}

// recallCells fills a block of fingerprints of cold time.
func (e *Engine) recallCells(g *gpu, acc *account, b *block) {
	value, err := e.cfg.Archive.Get(e.cellsKey(g, acc, b.base))
	e.fail("recalling fingerprints", err)
	if int64(len(value)) != 8*e.perBlock {
		return
	}
	for i := range e.perBlock {
		b.cells[i] = binary.LittleEndian.Uint64(value[8*i:])
	}
}

// A vicinity is the samples of a chunk, between the one before it and the one
// behind it, where there are such.
type vicinity struct {
	samples  []sample
	from, to int // the chunk's own
}

// around recalls the chunk of s that begins at `at`. It is valid until the next call.
func (e *Engine) around(s *series, at int64) vicinity {
	v := vicinity{samples: e.near[:0]}
	own := e.chunkKey(s, at)
	_, value, err := e.cfg.Archive.Last(e.chunkKey(s, forever), own)
	e.fail("looking for the sample before a chunk", err)
	if value != nil {
		v.samples = e.decodeChunk(v.samples, value)
		v.samples = append(v.samples[:0], v.samples[len(v.samples)-1])
	}
	v.from = len(v.samples)
	value, err = e.cfg.Archive.Get(own)
	e.fail("recalling samples", err)
	if value != nil {
		v.samples = e.decodeChunk(v.samples, value)
	}
	v.to = len(v.samples)
	_, value, err = e.cfg.Archive.First(e.chunkKey(s, at+e.chunk), e.chunkKey(s, never))
	e.fail("looking for the sample behind a chunk", err)
	if value != nil {
		v.samples = e.decodeChunk(v.samples, value)[:v.to+1]
	} else if i := s.coldEnd(); i < s.done {
		v.samples = append(v.samples, *s.at(i))
	}
	e.near = v.samples
	return v
}

func (e *Engine) decodeChunk(dst []sample, value []byte) []sample {
	n := len(dst)
	dst, err := e.chunks.decode(dst, value, &e.texts)
	if err == nil && len(dst) == n {
		err = errChunk
	}
	if e.fail("recalling samples", err); err != nil { // the engine is lost; it need not panic
		return append(dst[:n], sample{})
	}
	return dst
}

// restateCold recomputes windows of g in cold time, chunk by chunk.
func (e *Engine) restateCold(g *gpu, from, to int64, out Output) {
	if from >= to {
		return
	}
	e.cut(g)
	pieces, cursor, base := g.pieces, g.cursor, g.base
	for at := floorTo(from, e.chunk); at < to; at += e.chunk {
		e.recallPieces(g, at)
		e.recall(g, at)
		e.each(g, max(at, from), min(at+e.chunk, to), true, out)
		e.putBack(g)
	}
	g.pieces, g.cursor = pieces, cursor
	if g.base < base { // of a slice that was new
		g.stale = g.base
	}
	e.retireCells(g)
}

// recallPieces makes the pieces of g for the chunk at `at`, from the sample before it
// to the one behind it: what the samples in between say depends on no other. It may
// find new slices, whose samples are then looked at too.
func (e *Engine) recallPieces(g *gpu, at int64) {
	for known := -1; known < len(g.series); {
		known = len(g.series)
		from, to := e.vicinityOf(g, at)
		e.thawHolders(g, from, to)
		g.pieces = nil
		e.cutFrom(g, from)
	}
}

// vicinityOf is the time between the samples around a chunk, of all series.
func (e *Engine) vicinityOf(g *gpu, at int64) (from, to int64) {
	from, to = at, at+e.chunk
	for _, s := range g.series {
		v := e.around(s, at)
		if len(v.samples) == 0 {
			continue
		}
		first, last := &v.samples[0], &v.samples[len(v.samples)-1]
		if from = min(from, first.ts); v.from == 0 {
			from = min(from, first.ts-first.reach())
		}
		to = max(to, last.ts+1)
	}
	return from, to
}

// recall puts the samples of a chunk and their neighbours in the place of the hot ones.
func (e *Engine) recall(g *gpu, at int64) {
	e.away = e.away[:0]
	for _, s := range g.series {
		e.away = append(e.away, *s)
		v := e.around(s, at)
		s.blocks, s.tail, s.n, s.done, s.cursor, s.last, s.known = nil, nil, 0, 0, 0, forever, forever
		e.fill(s, v.samples)
	}
}

// fill gives s samples that are counted.
func (e *Engine) fill(s *series, list []sample) {
	e.put(s, list)
	s.settle(s.n)
}

// putBack puts the hot samples back.
func (e *Engine) putBack(g *gpu) {
	for i, s := range g.series {
		e.freeBlocks = append(e.freeBlocks, s.blocks...)
		w := &e.away[i]
		s.blocks, s.tail, s.n, s.done, s.cursor, s.last, s.known = w.blocks, w.tail, w.n, w.done, w.cursor, w.last, w.known
	}
}

// markColdBound is markBound in cold time.
func (e *Engine) markColdBound(s *series, t int64) {
	list := e.around(s, floorTo(t, e.chunk)).samples
	i := 0
	for i < len(list) && list[i].ts < t {
		i++
	}
	if i > 0 {
		e.mark(s.gpu, list[i-1].ts, list[i-1].ts+list[i-1].reach())
	}
	if i < len(list) {
		from := list[i].ts - list[i].reach()
		if i > 0 {
			from = max(from, list[i-1].ts)
		}
		e.mark(s.gpu, from, list[i].ts)
	}
}

// mergeCold counts the arrivals in cold time and returns the others. An engine
// that has just begun has them in its archive.
func (e *Engine) mergeCold(s *series, ready []sample) []sample {
	e.truncate(s, s.done) // the arrivals, which ready has
	if e.final == forever {
		for len(ready) > 0 && ready[0].ts < s.gpu.hot {
			ready = ready[1:]
		}
	}
	for len(ready) > 0 && ready[0].ts < s.gpu.hot {
		at := floorTo(ready[0].ts, e.chunk)
		n := 0
		for n < len(ready) && ready[n].ts < at+e.chunk {
			n++
		}
		e.mergeChunk(s, at, ready[:n])
		ready = ready[n:]
	}
	return ready
}

// mergeChunk merges arrivals, sorted and of other instants, into their chunk, and
// marks what they change.
func (e *Engine) mergeChunk(s *series, at int64, ready []sample) {
	v := e.around(s, at)
	m := &e.jumble
	m.old = append(m.old[:0], v.samples...)
	e.interleave(ready)
	whole := newSeries(s.gpu, s.slice, s.name, s.sum)
	e.fill(whole, m.merged)
	e.markFresh(whole, 0)
	e.truncate(whole, 0)
	if !slices.Contains(m.fresh, true) {
		return
	}
	own := m.merged[v.from : len(m.merged)-(len(v.samples)-v.to)]
	e.putChunk(s, at, own)
	e.precede(s, &own[len(own)-1])
}

// precede makes x the cold sample that s keeps, unless it has a later one.
func (e *Engine) precede(s *series, x *sample) {
	i := s.coldEnd()
	if i > 0 {
		if y := s.at(i - 1); y.ts <= x.ts {
			*y = *x
			s.settle(s.done)
			s.last = max(s.gpu.floor(), s.at(s.n-1).ts)
		}
		return
	}
	hot := append([]sample{*x}, s.copyTo(nil, 0, s.done)...)
	e.truncate(s, 0)
	e.fill(s, hot)
	s.last = max(s.gpu.floor(), s.last)
	e.uncover(s.gpu, x.ts)
}

// forgetEvery is how many chunks lie between two looks for what is too old.
const forgetEvery = 24

// forgetCold drops what of g is older than what is kept, but for the last sample
// before that. Its windows before that can no longer be restated.
func (e *Engine) forgetCold(g *gpu) {
	cut := floorTo(e.horizon-e.cfg.KeepSamples, e.chunk)
	if cut < g.lost+forgetEvery*e.chunk || len(g.pending) > 0 {
		return
	}
	for _, s := range g.series {
		first := e.chunkKey(s, forever)
		last, _, err := e.cfg.Archive.Last(first, e.chunkKey(s, cut))
		e.fail("looking for old samples", err)
		e.drop(first, slices.Clone(last))
	}
	for _, acc := range g.accounts {
		e.drop(e.cellsKey(g, acc, forever), e.cellsKey(g, acc, cut/e.cfg.Window))
	}
	e.drop(e.hintKey(g, forever), e.hintKey(g, cut))
	g.lost = max(g.lost, cut)
}

// drop deletes [from, to), if there is anything.
func (e *Engine) drop(from, to []byte) {
	if len(to) == 0 {
		return
	}
	key, _, err := e.cfg.Archive.First(from, to)
	e.fail("looking for what is old", err)
	if key != nil {
		e.fail("deleting what is old", e.cfg.Archive.Delete(from, to))
	}
}

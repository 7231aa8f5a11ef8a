package engine

import "github.com/gpumeter/gpumeter/schemas"

// A series holds the samples of one GPU or slice:
//
//	[ sorted, one per instant, counted | arrivals, as they came ]
//	 0                              done                       n
//
// Arrivals in order, the rule, are appended where they will stay: counting them
// moves done. Others are sorted and merged when they are counted (merge.go).
// Samples lie in blocks, so that growing copies nothing and what is dropped at
// the front is used again at the back, of this series or of another.
type series struct {
	// What an arrival touches, one cache line.
	last    int64        // arrivals behind it are in order: ts of sample n-1, or the last ms that is cold; forever = none
	tail    *sampleBlock // the last block
	n       int
	jumbled bool // arrivals are not all later than what is before them
	queued  bool // in Engine.arrived
	slice   text
	cadence uint32 // interval of the last sample, ms
	gpu     *gpu
	blocks  []*sampleBlock

	done      int
	known     int64  // ts of sample done-1
	announced int64  // activity was, up to here
	dirty     int64  // and is to be again from here on; never = nothing is
	wake      int64  // samples from here on are worth a look
	from, to  int64  // scratch of announce: what it is about
	cursor    int    // where the last search ended
	name      string // of the slice
	sum       uint64 // of the name
}

func newSeries(g *gpu, slice text, name string, sum uint64) *series {
	return &series{gpu: g, slice: slice, name: name, sum: sum, last: g.floor(), known: forever, announced: forever, dirty: never, wake: forever}
}

const (
	sampleBlockLen = 64
	slabBlocks     = 16
)

type sampleBlock [sampleBlockLen]sample

// at is sample i, i < n.
func (s *series) at(i int) *sample {
	return &s.blocks[uint(i)/sampleBlockLen][uint(i)%sampleBlockLen]
}

// room returns where the next samples go: n of them at most, at least one.
func (e *Engine) room(s *series, n int) []sample {
	at := s.n % sampleBlockLen
	if at == 0 {
		s.blocks = append(s.blocks, e.block())
		s.tail = s.blocks[len(s.blocks)-1]
	}
	return s.tail[at:min(at+n, sampleBlockLen)]
}

// append copies rows [i, j) of b, all of one series, to the end of it.
func (e *Engine) append(h *hint, b *schemas.Samples, i, j int) {
	s := h.series
	s.cadence = h.of.Interval
	for i < j {
		to := e.room(s, j-i)
		k := i + len(to)
		ts, util, sm, tensor, dram := b.TS[i:k], b.Utilization[i:k], b.SMActive[i:k], b.TensorActive[i:k], b.DRAMActive[i:k]
		mem, power, energy, temp := b.MemoryUsed[i:k], b.Power[i:k], b.Energy[i:k], b.Temperature[i:k]
		for x := range to {
			p := &to[x]
			p.ts, p.mem, p.energy, p.power, p.temp = ts[x], mem[x], energy[x], power[x], temp[x]
			p.util, p.sm, p.tensor, p.dram = util[x], sm[x], tensor[x], dram[x]
			p.memTotal, p.interval, p.model = h.of.MemoryTotal, h.of.Interval, h.model
		}
		s.n, s.last, i = s.n+len(to), ts[len(ts)-1], k
	}
}

// put appends samples that are sorted and of other instants.
func (e *Engine) put(s *series, list []sample) {
	for len(list) > 0 {
		n := copy(e.room(s, len(list)), list)
		s.n, s.last, list = s.n+n, list[n-1].ts, list[n:]
	}
}

// block is room for more samples: room that was given back, or new.
func (e *Engine) block() *sampleBlock {
	if len(e.freeBlocks) == 0 {
		slab := new([slabBlocks]sampleBlock)
		for i := range slab {
			e.freeBlocks = append(e.freeBlocks, &slab[i])
		}
	}
	last := len(e.freeBlocks) - 1
	b := e.freeBlocks[last]
	e.freeBlocks = e.freeBlocks[:last]
	return b
}

// truncate drops the samples from i on and gives back their room.
func (e *Engine) truncate(s *series, i int) {
	s.n = i
	s.settle(min(s.done, i))
	used := (i + sampleBlockLen - 1) / sampleBlockLen
	e.freeBlocks = append(e.freeBlocks, s.blocks[used:]...)
	clear(s.blocks[used:])
	s.blocks, s.tail, s.last = s.blocks[:used], nil, s.gpu.floor()
	if i > 0 {
		s.tail, s.last = s.blocks[used-1], max(s.last, s.at(i-1).ts)
	}
}

// settle sets how many samples are counted.
func (s *series) settle(done int) {
	s.done, s.cursor, s.known = done, min(s.cursor, done), forever
	if done > 0 {
		s.known = s.at(done - 1).ts
	}
}

// arrive is asked before arrivals at ts whether they may touch a window that is
// final.
func (s *series) arrive(ts []int64, interval uint32, final int64) (late bool) {
	late = s.last < final && (s.n > 0 || ts[0]-reachOf(interval) < final)
	last := s.last
	for _, t := range ts {
		if t <= last {
			s.jumbled = true
			return true
		}
		last = t
	}
	return late
}

// after is the number of counted samples with ts <= t. Searches move by little:
// they gallop from where the last one ended.
func (s *series) after(t int64) int {
	lo, hi := min(s.cursor, s.done), s.done
	if lo > 0 && s.at(lo-1).ts > t {
		hi = lo - 1
		for step := 1; ; step *= 2 {
			if lo = max(0, hi-step); lo == 0 || s.at(lo-1).ts <= t {
				break
			}
			hi = lo - 1
		}
	} else {
		for step := 1; lo+step <= s.done; step *= 2 {
			if s.at(lo+step-1).ts > t {
				hi = lo + step - 1
				break
			}
			lo += step
		}
	}
	for lo < hi {
		if mid := int(uint(lo+hi) / 2); s.at(mid).ts <= t {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	s.cursor = lo
	return lo
}

// before is the number of counted samples with ts < t.
func (s *series) before(t int64) int { return s.after(t - 1) }

// count moves the arrivals before the horizon among the counted samples and
// marks what they can change. What waits is left for a later horizon.
func (e *Engine) count(s *series) {
	if s.jumbled {
		e.merge(s)
		return
	}
	from, known, done := s.done, s.known, s.n
	if s.last >= e.horizon {
		for done = from; s.at(done).ts < e.horizon; {
			done++
		}
	}
	switch {
	case from == done:
		return
	case from > 0 && known >= e.final: // in order and in time: only what is not final changes
		s.gpu.low = min(s.gpu.low, known)
		s.done, s.known = done, s.last
		if done < s.n {
			s.settle(done)
		}
	default:
		e.recollect(s.gpu)
		s.settle(done)
		e.markRun(s, from, done)
	}
}

// markRun marks what the new samples [i, j) change, given that everything before
// them was counted before. Each speaks back to its predecessor or three intervals,
// and forward until the next one. The one before them was perhaps the last of its
// piece and spoke forward, beyond them too; the one behind them spoke back into
// them, and its energy is counted from its predecessor.
func (e *Engine) markRun(s *series, i, j int) {
	if i > 0 {
		before := s.at(i - 1)
		e.mark(s.gpu, before.ts, before.ts+before.reach())
	}
	for k := i; k < j; k++ {
		x := s.at(k)
		from, to := s.backTo(k), x.ts+x.reach()
		if k+1 < s.done {
			to = min(to, s.at(k+1).ts)
		}
		e.mark(s.gpu, from, to)
	}
	if j < s.done {
		behind := s.at(j)
		from := behind.ts - behind.reach()
		if i > 0 {
			from = max(from, s.at(i-1).ts)
		}
		e.mark(s.gpu, from, behind.ts)
	}
}

// backTo is how far back sample k speaks where no piece bounds it.
func (s *series) backTo(k int) int64 {
	x := s.at(k)
	from := x.ts - x.reach()
	if k > 0 {
		from = max(from, s.at(k-1).ts)
	}
	return from
}

// forget drops whole blocks of counted samples before cut, but keeps the last such
// sample: the window at cut needs its predecessor.
func (e *Engine) forget(s *series, cut int64) {
	blocks := (s.before(cut) - 1) / sampleBlockLen
	if blocks <= 0 {
		return
	}
	e.freeBlocks = append(e.freeBlocks, s.blocks[:blocks]...)
	kept := copy(s.blocks, s.blocks[blocks:])
	clear(s.blocks[kept:])
	s.blocks = s.blocks[:kept]
	s.n -= blocks * sampleBlockLen
	s.settle(s.done - blocks*sampleBlockLen)
}

package engine

import (
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/money"
)

// A row is one cost fact, before its texts are written out.
type row struct {
	rec   *record
	alloc *allocation // nil: nobody
	attr  *attributed
	price *priceRow // nil: unpriced
	slice text

	sliceSum           uint64 // of the slice's text
	state, attribution uint8
	from, to           int64
	x0, x1             uint32
	gpuMs, usedMs      int64
	list, used, waste  int64
	util, sm           uint32
	mem, energy        uint64
	runsFrom, runsTo   uint32 // in cell.runs
}

// A cell is what is being computed: the rows of one window.
type cell struct {
	window int64
	hour   int64 // start of the window's hour
	rows   []row
	runs   []uint32 // pairs, ms since window
}

func (c *cell) reset(window int64) {
	*c = cell{window: window, hour: floorTo(window, money.Hour), rows: c.rows[:0], runs: c.runs[:0]}
}

// close makes a row of each state that was tallied in the span [from, to).
func (e *Engine) close(r row) {
	for state := schemas.StateActive; state <= schemas.StateUnknown; state++ {
		if e.tally.used&(1<<state) == 0 {
			continue
		}
		r.state = state
		e.measure(&r, &e.tally.tallies[state])
		e.charge(&r)
		e.cell.rows = append(e.cell.rows, r)
	}
}

// measure sets what the samples say.
func (e *Engine) measure(r *row, y *tally) {
	r.util, r.sm = mean(y.utilSum, y.utilMs), mean(y.smSum, y.smMs)
	r.mem, r.energy = schemas.Absent64, schemas.Absent64
	if y.resident {
		r.mem = y.mem
	}
	if y.measured {
		r.energy = scale(y.energy, uint64(r.x1-r.x0), money.Whole)
	}
}

// charge sets rule 8's time and money over the runs of the row's state, and what
// follows from them.
func (e *Engine) charge(r *row) {
	c := &e.cell
	r.gpuMs, r.list, r.used, r.waste = 0, 0, 0, 0
	var rate money.Rate
	if r.price != nil {
		rate = money.NewRate(r.price.perHour, len(r.rec.GPUs), money.Hour)
	}
	r.runsFrom = uint32(len(c.runs))
	for i := range e.tally.runs {
		run := &e.tally.runs[i]
		if run.state != r.state {
			continue
		}
		t0, t1 := run.from-c.hour, run.to-c.hour
		r.gpuMs += money.Millis(r.x0, r.x1, t0, t1)
		if r.price != nil {
			r.list += rate.Cost(r.x0, r.x1, t0, t1)
		}
		c.runs = append(c.runs, uint32(run.from-c.window), uint32(run.to-c.window))
	}
	r.runsTo = uint32(len(c.runs))
	load := uint32(0)
	if y := &e.tally.tallies[r.state]; y.loadMs > 0 {
		load = uint32(y.loadSum / y.loadMs)
	}
	r.usedMs, r.used = money.Part(r.gpuMs, load), money.Part(r.list, load)
	if r.state == schemas.StateIdle || r.state == schemas.StateIdleHeld {
		r.waste = r.list
	}
}

// fingerprint is the hash of the cell's rows, never 0 in its upper bits by chance
// alone: the caller sets publishedBit.
func (c *cell) fingerprint() uint64 {
	h := uint64(len(c.rows))
	for i := range c.rows {
		h = c.rows[i].hash(h, c.runs)
	}
	return h
}

func (r *row) hash(h uint64, runs []uint32) uint64 {
	h = mix(mix(h, r.rec.hash), r.attr.hash)
	if r.alloc != nil {
		h = mix(h, r.alloc.hash)
	}
	if r.price != nil {
		h = mix(h, r.price.hash)
	}
	h = mix(h, r.sliceSum^uint64(r.state)<<8^uint64(r.attribution))
	h = mix(mix(h, uint64(r.from)), uint64(r.to))
	h = mix(h, uint64(r.x0)<<32|uint64(r.x1))
	h = mix(mix(h, uint64(r.gpuMs)), uint64(r.usedMs))
	h = mix(mix(h, uint64(r.list)), uint64(r.used))
	h = mix(h, uint64(r.util)<<32|uint64(r.sm))
	h = mix(mix(h, r.mem), r.energy)
	for i := r.runsFrom; i < r.runsTo; i += 2 {
		h = mix(h, uint64(runs[i])<<32|uint64(runs[i+1]))
	}
	return h
}

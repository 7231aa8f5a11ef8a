package engine

import (
	"cmp"

	"github.com/gpumeter/gpumeter/schemas"
)

// A sample is one reading, one cache line, no pointers. All fields are kept
// because of two samples at one instant the greatest stays.
type sample struct {
	ts       int64
	mem      uint64
	memTotal uint64
	energy   uint64 // J
	interval uint32 // ms; 0 = not reported
	model    text
	util     uint32 // ppm
	sm       uint32 // ppm
	tensor   uint32 // ppm
	dram     uint32 // ppm
	power    uint32 // mW
	temp     int16
}

// reach is how far from its instant a sample speaks, at most.
func (s *sample) reach() int64 { return reachOf(s.interval) }

// reachOf is three intervals; 0 is one that was not reported.
func reachOf(interval uint32) int64 {
	if interval == 0 {
		interval = schemas.DefaultInterval
	}
	return 3 * int64(interval)
}

// compare orders samples by instant, then by their fields as the input contract
// lists them. Adding one to a value puts its Absent constant, all ones, lowest.
func (t *texts) compare(a, b *sample) int {
	if a.ts != b.ts {
		return cmp.Compare(a.ts, b.ts)
	}
	if a.model != b.model {
		return cmp.Compare(t.all[a.model], t.all[b.model])
	}
	return cmp.Or(
		cmp.Compare(a.interval, b.interval),
		cmp.Compare(a.util+1, b.util+1),
		cmp.Compare(a.sm+1, b.sm+1),
		cmp.Compare(a.tensor+1, b.tensor+1),
		cmp.Compare(a.dram+1, b.dram+1),
		cmp.Compare(a.mem+1, b.mem+1),
		cmp.Compare(a.memTotal+1, b.memTotal+1),
		cmp.Compare(a.power+1, b.power+1),
		cmp.Compare(a.energy+1, b.energy+1),
		cmp.Compare(a.temp, b.temp),
	)
}

// state is rule 4: what a sample says of whoever holds its GPU or slice.
func (e *Engine) state(s *sample, idleWatts uint32) uint8 {
	activity := max(s.util+1, s.sm+1, s.tensor+1) // 0: none reported
	switch {
	case activity == 0:
		return schemas.StateUnknown
	case activity > e.cfg.Epsilon+1:
		return schemas.StateActive
	case s.power != schemas.Absent32 && idleWatts != schemas.Absent32 && s.power > idleWatts:
		return schemas.StateActive
	case s.mem != schemas.Absent64 && s.mem >= e.cfg.IdleMemory:
		return schemas.StateIdleHeld
	}
	return schemas.StateIdle
}

// load is sm_active where reported, else utilization; false when neither is.
func (s *sample) load() (ppm uint32, ok bool) {
	if s.sm != schemas.Absent32 {
		return s.sm, true
	}
	return s.util, s.util != schemas.Absent32
}

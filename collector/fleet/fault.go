package fleet

import (
	"math"
	"slices"
)

// A fault is a stretch of which nothing is measured, of one GPU of a node or all:
// a collector that hangs, a GPU that stops to answer or falls off the bus. What
// runs there goes on. The bounds are on the node's grid: the sample at from is the
// last one, and the first one after it, three intervals after to, speaks back to
// to (rule 2).
type fault struct {
	from, to int64
	gpu      int // index, everyGPU = the whole node
}

const everyGPU = -1

// reach is how far back a sample speaks.
func (f *Fleet) reach() int64 { return 3 * f.interval }

// covers tells whether the sample of GPU k at t is missing.
func (x fault) covers(k int, t, reach int64) bool {
	return (x.gpu == everyGPU || x.gpu == k) && t > x.from && t < x.to+reach
}

// faultsUntil draws the node's faults, day by day, so that all that begin before t
// are known. A node has one a day at most.
func (f *Fleet) faultsUntil(n *node, t int64) []fault {
	for ; n.drawn <= t; n.drawn += day {
		if n.shared {
			continue // pieces of a shared GPU that are never sampled would need rule 2 again to tell the truth
		}
		d := roll(f.cfg.Seed, drawFault, uint64(n.index), uint64(n.drawn/day))
		var x fault
		x.gpu = d.IntN(perNode)
		var length int64
		switch kind := d.IntN(20); {
		case kind < 3: // a node without samples for about an hour
			x.gpu, length = everyGPU, d.minutes(50, 75)
		case kind < 6:
			x.gpu, length = everyGPU, d.minutes(2, 20)
		case kind < 10: // a GPU stops to report
			length = d.minutes(5, 60)
		case kind < 12: // a GPU falls off the bus until the node is drained
			length = d.minutes(120, 480)
		default:
			continue
		}
		at := d.minutes(60, 15*60)
		if n.drawn == 0 && d.one(3) {
			at = d.minutes(4, 30) // so that a short run has some
		}
		x.from = f.align(n.drawn+at, n.grid)
		x.to = x.from + length/f.interval*f.interval
		n.faults = append(n.faults, x)
	}
	return n.faults
}

// faultAt is the node's fault at t, or one that covers nothing there. t never goes
// back.
func (f *Fleet) faultAt(n *node, t int64) fault {
	all := f.faultsUntil(n, t)
	for n.past < len(all) && all[n.past].to+f.reach() <= t {
		n.past++
	}
	if n.past == len(all) {
		return fault{from: math.MaxInt64}
	}
	return all[n.past]
}

// settle moves the bounds of work that lie behind a fault to where the first
// sample after it was taken: one sample speaks for three intervals there, and
// what it cannot tell apart is not scripted.
func (f *Fleet) settle(j *job) {
	for _, s := range j.seats {
		for _, x := range f.faultsUntil(s.gpu.node, j.end) {
			if x.gpu != everyGPU && x.gpu != s.gpu.index {
				continue
			}
			seen := (x.to + f.reach() - j.start + 999) / 1000 * 1000
			for i := range j.phases {
				for _, bound := range []*int64{&j.phases[i].from, &j.phases[i].to} {
					if at := j.start + *bound; at > x.to && at < x.to+f.reach() {
						*bound = seen
					}
				}
			}
		}
	}
	j.phases = slices.DeleteFunc(j.phases, func(p phase) bool { return p.from == p.to })
}

package fleet

import "math"

// A load is what sensors see of a GPU that is in one condition, as shares of 1;
// power as a share of what lies between idle and most.
type load struct {
	util, sm, tensor, dram, power float64
	noise                         float64 // values vary by this share of them, up and down
	swing                         float64 // share of them that follows the day
	steps                         int     // every so many readings one falls in between steps; 0 = never
}

const day = 24 * 3600 * 1000

// morning is the time of day at which a fleet begins.
const morning = 9 * 3600 * 1000

// at is the load at t as reading number k of a series sees it, seeded by h.
func (l load) at(t int64, h uint64) load {
	scale := 1 + l.noise*(2*unit(h)-1)
	if l.swing > 0 {
		hour := 2 * math.Pi * float64((t+morning)%day) / day
		scale *= 1 - l.swing*(1+math.Cos(hour))/2 // least at midnight, most at noon
	}
	if l.steps > 0 && mix(h)%uint64(l.steps) == 0 {
		scale *= 0.3
	}
	return l.times(scale)
}

func (l load) times(f float64) load {
	return load{util: l.util * f, sm: l.sm * f, tensor: l.tensor * f, dram: l.dram * f, power: l.power * f}
}

func (l load) plus(m load) load {
	return load{util: l.util + m.util, sm: l.sm + m.sm, tensor: l.tensor + m.tensor, dram: l.dram + m.dram, power: l.power + m.power}
}

// ppm is a share in millionths.
func ppm(share float64) uint32 { return uint32(max(0, min(1, share)) * 1e6) }

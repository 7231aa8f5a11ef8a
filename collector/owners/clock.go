package owners

import "math"

// A bootClock turns the clock ticks since boot, in which the kernel gives the
// start of a process, into Unix milliseconds. /proc/stat gives the second of boot
// only; on this machine the difference of its clocks gives the rest.
type bootClock struct {
	btime int64                             // ms, of /proc/stat
	exact func() (sinceBoot int64, ok bool) // Unix ms of boot by this machine's clocks
	again func() (btime int64, ok bool)     // reads /proc/stat
}

// sameBoot is how far apart the two may be and speak of one boot.
const sameBoot = 2000

// at is when the tick was. A step of the clock is noticed: /proc/stat follows it.
func (c *bootClock) at(ticks uint64) int64 {
	since := int64(min(ticks, math.MaxInt64/tick)) * tick
	exact, ok := c.exact()
	if !ok {
		return c.btime + since
	}
	if !near(exact, c.btime) {
		if now, ok := c.again(); ok {
			c.btime = now
		}
	}
	if !near(exact, c.btime) { // a recorded tree, or the /proc of another machine
		return c.btime + since
	}
	// Rounded to ticks, so that two readings some microseconds apart agree.
	return (exact+tick/2)/tick*tick + since
}

func near(a, b int64) bool { return a-b < sameBoot && b-a < sameBoot }

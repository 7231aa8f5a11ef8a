package nvml

import (
	"context"
	"time"
)

// A clock gives the instants of the rounds: multiples of the interval, so that
// the samples of all nodes are of the same instants.
type clock struct {
	interval int64 // ms
	last     int64 // Unix ms
}

// wait blocks until the next instant and returns it, false when ctx ended.
func (c *clock) wait(ctx context.Context) (int64, bool) {
	c.last = following(time.Now().UnixMilli(), c.last, c.interval)
	timer := time.NewTimer(time.Until(time.UnixMilli(c.last)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return c.last, true
	case <-ctx.Done():
		return 0, false
	}
}

// following is the first multiple of interval after now. A timer may fire a
// little before its instant by the wall clock: that instant is not given twice.
// When the wall clock was set back by more than that, the rounds follow it.
func following(now, last, interval int64) int64 {
	next := now - now%interval + interval
	if next == last {
		next += interval
	}
	return next
}

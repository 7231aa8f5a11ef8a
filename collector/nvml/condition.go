package nvml

import (
	"errors"
	"log/slog"
)

// Why a GPU has no sample in a round.
const (
	hung   = "hung"   // its last call has not returned
	lost   = "lost"   // off the bus, or needs a reset
	failed = "failed" // refuses everything
)

// errHung is a GPU whose call has not returned in time.
var errHung = errors.New("a call to the driver does not return")

func reason(err error) string {
	switch {
	case errors.Is(err, errHung):
		return hung
	case errors.Is(err, errLost):
		return lost
	default:
		return failed
	}
}

// quiet is how long, in ms, a GPU that comes and goes is not written about
// again.
const quiet = 60_000

// A condition follows one GPU and logs when it changes, so that a GPU that stays
// lost is one line. Of one that flaps, a line a minute says how it is and how
// often that changed; and the end of what was logged is logged at once.
type condition struct {
	why     string // empty = sampled
	ended   int64  // when samples last ended, Unix ms
	changes int    // since the last line

	told   int64  // when the last line was logged, 0 = never
	toldOf string // the condition that it spoke of
}

// is notes the condition of the GPU at ts; nil = sampled.
func (c *condition) is(log *slog.Logger, gpu string, ts int64, err error) {
	why := ""
	if err != nil {
		why = reason(err)
	}
	if why != c.why {
		if c.why == "" {
			c.ended = ts
		}
		c.why = why
		c.changes++
	}
	over := why == "" && c.toldOf != "" && c.changes == 1
	if c.changes == 0 || (c.told != 0 && ts-c.told < quiet && !over) {
		return
	}
	if err == nil {
		log.Info("a GPU is sampled again", "gpu", gpu, "after_ms", ts-c.ended, "changes", c.changes)
	} else {
		log.Warn("a GPU is not sampled: its time is unknown until it is", "gpu", gpu, "why", why, "error", err, "changes", c.changes)
	}
	c.told, c.toldOf, c.changes = ts, why, 0
}

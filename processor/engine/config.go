package engine

import (
	"errors"
	"fmt"
	"math"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/money"
)

// Config is what the ledger depends on beside its events. Times are in ms.
type Config struct {
	Window      int64  // length of a window; divides the hour, because rule 8 counts from the hour
	Grace       int64  // a window is final this long after its end
	EarlyEvery  int64  // windows that are not final are published this often; 0 = never
	KeepSamples int64  // samples are kept this long behind the horizon; what needs older ones is too late
	LostBefore  int64  // samples of windows that begin before are not there: what was published of them stays; 0 = none
	Backlog     int64  // cells of final windows that one Advance recomputes at most, give or take a window; 0 = all
	Epsilon     uint32 // ppm; activity above it is active
	IdleMemory  uint64 // bytes; memory in use from here on makes idle time idle_held
	From        int64  // Unix ms: no resource exists before; 0 = each from its own beginning

	Archive Archive // where what is older than Hot goes; nil = nowhere: everything stays in memory
	Hot     int64   // how far behind the horizon all is in memory, at least; late events in there cost no look into the archive

	Partition    uint32                       // of samples: what this engine calls itself in activity
	Owns         func(node string) bool       // nodes whose cells this engine computes; nil = all
	Reports      func(allocation string) bool // allocations without start that this engine reports; nil = all
	ReportPrices bool                         // whether this engine reports conflicting prices
}

// Output takes what Advance publishes. Arguments are valid during the call.
type Output interface {
	Costs(*schemas.Costs)        // whole cells, some thousand rows at most beside one large cell
	Activity([]schemas.Activity) // stretches in order GPU by GPU, and watermarks
	Report(schemas.DeadLetter)
}

const (
	never   = math.MaxInt64 // the end of what is open
	forever = math.MinInt64 // before everything
)

func (c *Config) validate() error {
	switch {
	case c.Window <= 0 || money.Hour%c.Window != 0:
		return fmt.Errorf("window of %d ms: it must divide the hour, as 60000 does", c.Window)
	case c.Grace < 0:
		return fmt.Errorf("grace of %d ms: it cannot be negative", c.Grace)
	case c.EarlyEvery < 0:
		return fmt.Errorf("early results every %d ms: it cannot be negative (0 = none)", c.EarlyEvery)
	case c.KeepSamples < c.Window+c.Grace:
		return fmt.Errorf("samples kept for %d ms: a window needs its samples until it is final, %d ms at least", c.KeepSamples, c.Window+c.Grace)
	case c.Archive != nil && (c.Hot < 0 || c.Hot > c.KeepSamples):
		return fmt.Errorf("%d ms in memory: it is at least 0 and at most the %d ms for which samples are kept", c.Hot, c.KeepSamples)
	case c.Backlog < 0:
		return fmt.Errorf("%d cells at once: it cannot be negative (0 = all)", c.Backlog)
	case c.Epsilon > money.Whole:
		return errors.New("epsilon above 1000000 ppm: no activity would ever count")
	}
	if c.Owns == nil {
		c.Owns = func(string) bool { return true }
	}
	if c.Reports == nil {
		c.Reports = func(string) bool { return true }
	}
	return nil
}

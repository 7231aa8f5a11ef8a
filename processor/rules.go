package processor

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// Rules are what the ledger depends on beside its events.
type Rules struct {
	Window time.Duration `koanf:"window" doc:"length of a window; divides the hour"`
	Idle   Idle          `koanf:"idle"`
	Ledger Ledger        `koanf:"ledger"`
	Grace  time.Duration `koanf:"grace" doc:"a window is final this long after its end"`
	Early  Early         `koanf:"early"`
	State  State         `koanf:"state"`
}

// Ledger says what time it is about.
type Ledger struct {
	From service.Instant `koanf:"from" doc:"time before it does not exist: RFC 3339 or Unix ms; resources bought long ago are paid for from here on; none = each is from its own beginning"`
}

// Idle says what is work.
type Idle struct {
	Epsilon     float64 `koanf:"epsilon" doc:"activity above this share of the time is work"`
	MemoryBytes uint64  `koanf:"memory_bytes" doc:"without work, memory in use from here on makes idle_held"`
}

// Early says how windows show that are not final.
type Early struct {
	Every time.Duration `koanf:"every" doc:"how often a window that is not final is published; 0s = never"`
}

// State bounds what a processor remembers.
type State struct {
	Dir     string        `koanf:"dir" doc:"directory of this process alone for what is not held in memory; it may be lost, and is rebuilt from the topics; none = all in memory"`
	Hot     time.Duration `koanf:"hot" doc:"with state.dir: how far behind the horizon all is held in memory; what comes later than that costs reads of the disk"`
	Samples time.Duration `koanf:"samples" doc:"how far behind the horizon samples are kept; what comes later than that is a dead letter, too_late"`
}

// DefaultRules are DESIGN's.
func DefaultRules() Rules {
	return Rules{
		Window: time.Minute, Idle: Idle{Epsilon: 0.01, MemoryBytes: 1 << 30}, Grace: 30 * time.Second,
		Early: Early{Every: 10 * time.Second}, State: State{Samples: 45 * 24 * time.Hour, Hot: time.Hour},
	}
}

// Validate gives everything that is wrong, with the reasons.
func (r Rules) Validate() error {
	var errs []error
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"window", r.Window}, {"grace", r.Grace}, {"early.every", r.Early.Every}, {"state.samples", r.State.Samples}, {"state.hot", r.State.Hot}} {
		if d.value < 0 || d.value%time.Millisecond != 0 {
			errs = append(errs, fmt.Errorf("%s: %v is not a number of milliseconds from 0 on", d.key, d.value))
		}
	}
	if r.Window <= 0 || time.Hour%r.Window != 0 {
		errs = append(errs, fmt.Errorf("window: %v does not divide the hour: costs are cut within hours", r.Window))
	}
	if r.State.Samples < r.Window+r.Grace {
		errs = append(errs, fmt.Errorf("state.samples: %v is less than window and grace: a window needs its samples until it is final", r.State.Samples))
	}
	if r.State.Dir != "" && r.State.Hot > r.State.Samples {
		errs = append(errs, fmt.Errorf("state.hot: %v is more than state.samples: what is not kept is not held", r.State.Hot))
	}
	if !(r.Idle.Epsilon >= 0 && r.Idle.Epsilon <= 1) {
		errs = append(errs, fmt.Errorf("idle.epsilon: %v is not from 0 to 1: it is a share of the time", r.Idle.Epsilon))
	} else if ppm := r.Idle.Epsilon * 1e6; math.Abs(ppm-math.Round(ppm)) > 1e-6 {
		errs = append(errs, fmt.Errorf("idle.epsilon: %v has more than six decimals: activities are compared in millionths", r.Idle.Epsilon))
	}
	if r.Ledger.From < 0 {
		errs = append(errs, fmt.Errorf("ledger.from: %v is before 1970: no event is older than 2010", r.Ledger.From))
	}
	return errors.Join(errs...)
}

// Engine is r in the engine's units.
func (r Rules) Engine() engine.Config {
	return engine.Config{
		Window: r.Window.Milliseconds(), Grace: r.Grace.Milliseconds(), EarlyEvery: r.Early.Every.Milliseconds(), KeepSamples: r.State.Samples.Milliseconds(), Hot: r.State.Hot.Milliseconds(),
		Epsilon: uint32(math.Round(r.Idle.Epsilon * 1e6)), IdleMemory: r.Idle.MemoryBytes, From: int64(r.Ledger.From),
	}
}

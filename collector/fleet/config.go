package fleet

import (
	"fmt"
	"math"
	"time"
)

// perNode is how many GPUs a node has.
const perNode = 8

// Config says what is simulated and how fast. Events follow from Seed, GPUs,
// Interval and Start alone.
type Config struct {
	Seed     uint64        `koanf:"seed" doc:"what is simulated: one seed, one fleet"`
	GPUs     int           `koanf:"gpus" doc:"GPUs, in nodes of 8"`
	Interval time.Duration `koanf:"interval" doc:"event time between two samples of a GPU, in whole seconds"`
	Start    time.Time     `koanf:"start" doc:"first instant, RFC 3339; not given = now, or so long ago that an accelerated fleet ends now"`
	Duration time.Duration `koanf:"duration" doc:"event time that is simulated, 0 = until it is stopped"`
	Speed    float64       `koanf:"speed" doc:"event time per time; faster than 1 until it has caught up with the clock"`
	Truth    string        `koanf:"truth" doc:"file that the truth is written to as NDJSON, empty = none"`
}

// DefaultConfig is a small fleet, live, until it is stopped.
func DefaultConfig() Config {
	return Config{Seed: 1, GPUs: 64, Interval: time.Second, Speed: 1}
}

const (
	maxGPUs     = 1 << 17
	maxInterval = 10 * time.Second
	maxSpeed    = 100_000
	maxDuration = 366 * 24 * time.Hour
)

// firstStart is rule 1's: events before 2010 do not count.
const firstStart = 1_262_304_000_000

// Validate gives the first thing that is wrong, and its reason.
func (c Config) Validate() error {
	if c.GPUs < perNode || c.GPUs > maxGPUs || c.GPUs%perNode != 0 {
		return fmt.Errorf("source.fleet.gpus: %d is not a multiple of %d up to %d: a node has %d", c.GPUs, perNode, maxGPUs, perNode)
	}
	if c.Interval < time.Second || c.Interval > maxInterval || c.Interval%time.Second != 0 {
		return fmt.Errorf("source.fleet.interval: %v is not whole seconds from 1s to %v: a slower source cannot tell a keep-alive loop from work", c.Interval, maxInterval)
	}
	if !c.Start.IsZero() && c.Start.UnixMilli() < firstStart {
		return fmt.Errorf("source.fleet.start: %s is before 2010: such events are refused", c.Start.Format(time.RFC3339))
	}
	if c.Duration < 0 || c.Duration > maxDuration {
		return fmt.Errorf("source.fleet.duration: %v is not from 0 to %v", c.Duration, maxDuration)
	}
	if !(c.Speed > 0 && c.Speed <= maxSpeed) || math.IsNaN(c.Speed) {
		return fmt.Errorf("source.fleet.speed: %v is not above 0 and up to %d", c.Speed, maxSpeed)
	}
	return nil
}

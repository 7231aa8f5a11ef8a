package idle

import (
	"errors"
	"fmt"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// Config says what counts as idle. Times are in ms.
type Config struct {
	Default Settings
	Classes map[string]Settings // of workloads whose attributed phase is the key

	cell  int64   // stretches are merged within cells of this length; default a minute
	steps []int64 // an open finding is revised this long after it opened or rose; then hourly

	settled int64 // active time is said this late at most; default schemas.ActiveStep
}

// Settings are the rule for one class of workload.
type Settings struct {
	Share  uint32 // ppm; less activity than this share of the trailing window is idleness
	Notice int64  // measured time in the window that opens a finding
	Alert  int64  // measured time in the window that makes it an alert
	Grace  int64  // time after an allocation's start that is not looked at
}

// DefaultSettings are DESIGN's.
func DefaultSettings() Settings {
	return Settings{Share: 20_000, Notice: 5 * minute, Alert: 30 * minute}
}

const (
	minute = int64(time.Minute / time.Millisecond)
	hour   = 60 * minute
	day    = 24 * hour

	whole = 1_000_000 // ppm
)

// maxLength of a window: more is a slip of the keyboard, and keeps sums of ppm·ms
// far from overflow.
const maxLength = 366 * day

// Validate gives everything that is wrong, with the reasons.
func (s Settings) Validate() error {
	var errs []error
	if s.Share < 1 || s.Share > whole {
		errs = append(errs, fmt.Errorf("share of %d ppm is not from 1 to %d: nothing is below 0", s.Share, whole))
	}
	if s.Notice < 1 || s.Notice > s.Alert {
		errs = append(errs, fmt.Errorf("notice after %d ms is not from 1 to alert's %d ms: a notice comes before the alert", s.Notice, s.Alert))
	}
	if s.Alert > maxLength {
		errs = append(errs, fmt.Errorf("alert after %d ms is more than a year", s.Alert))
	}
	if s.Grace < 0 || s.Grace > maxLength {
		errs = append(errs, fmt.Errorf("grace of %d ms is not from 0 to a year", s.Grace))
	}
	return errors.Join(errs...)
}

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	var errs []error
	if err := c.Default.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("idle: %w", err))
	}
	for class, s := range c.Classes {
		if err := s.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("idle: class %q: %w", class, err))
		}
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.cell == 0 {
		c.cell = minute
	}
	if c.steps == nil {
		c.steps = []int64{5 * minute, 15 * minute, 30 * minute, hour}
	}
	if c.settled == 0 {
		c.settled = schemas.ActiveStep
	}
	return c
}

// of is the settings of a class.
func (c *Config) of(phase string) Settings {
	if s, ok := c.Classes[phase]; ok {
		return s
	}
	return c.Default
}

// longest is the longest window of all classes: what is kept.
func (c *Config) longest() int64 {
	n := c.Default.Alert
	for _, s := range c.Classes {
		n = max(n, s.Alert)
	}
	return n
}

// nextStep is the first step after updated of a finding that opened or rose at
// base.
func (c *Config) nextStep(base, updated int64) int64 {
	for _, s := range c.steps {
		if base+s > updated {
			return base + s
		}
	}
	last := base
	if n := len(c.steps); n > 0 {
		last += c.steps[n-1]
	}
	return last + ((updated-last)/hour+1)*hour
}

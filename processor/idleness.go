package processor

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/processor/idle"
)

// Detect says what detectors look for, and as whom they read.
type Detect struct {
	Group string   `koanf:"group" doc:"consumer group of the detectors; one ledger, one group"`
	Idle  Idleness `koanf:"idle"`
}

// Idleness says which allocations are idle.
type Idleness struct {
	IdleLimits `koanf:",squash"`
	Classes    []IdleClass `koanf:"classes" doc:"limits of classes of workload: the attributed phase, then what differs, as interactive notice=15m alert=2h grace=10m share=0.05"`
}

// IdleLimits are the limits of one class of workload.
type IdleLimits struct {
	Share  float64       `koanf:"share" doc:"an allocation that was active in less than this share of its trailing measured time is idle"`
	Notice time.Duration `koanf:"notice" doc:"measured time that opens a finding"`
	Alert  time.Duration `koanf:"alert" doc:"measured time that makes it an alert"`
	Grace  time.Duration `koanf:"grace" doc:"time after the start of an allocation that is not looked at"`
}

// An IdleClass is what is different for one class of workload. Of what it does
// not name, the limits of all hold.
type IdleClass struct {
	Phase string
	set   map[string]string
}

var _ encoding.TextUnmarshaler = (*IdleClass)(nil)

// DefaultDetect is DESIGN's rule, for all classes.
func DefaultDetect() Detect {
	s := idle.DefaultSettings()
	return Detect{Group: "gpumeter-detect", Idle: Idleness{IdleLimits: IdleLimits{
		Share: float64(s.Share) / 1e6, Notice: milliseconds(s.Notice), Alert: milliseconds(s.Alert), Grace: milliseconds(s.Grace),
	}}}
}

func milliseconds(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// UnmarshalText reads "phase name=value ...".
func (c *IdleClass) UnmarshalText(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return fmt.Errorf("%q: write a phase and what differs, as interactive notice=15m alert=2h", text)
	}
	*c = IdleClass{Phase: words[0], set: map[string]string{}}
	for _, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if _, twice := c.set[name]; !ok || twice {
			return fmt.Errorf("%q: write each of share, notice, alert and grace once, as name=value", text)
		}
		c.set[name] = value
	}
	_, err := c.over(IdleLimits{})
	return err
}

// String is what UnmarshalText reads.
func (c IdleClass) String() string {
	out := c.Phase
	for _, name := range []string{"share", "notice", "alert", "grace"} {
		if value, ok := c.set[name]; ok {
			out += " " + name + "=" + value
		}
	}
	return out
}

// over is l with what the class names in its place.
func (c IdleClass) over(l IdleLimits) (IdleLimits, error) {
	for name, value := range c.set {
		var err error
		switch name {
		case "share":
			l.Share, err = strconv.ParseFloat(value, 64)
		case "notice":
			l.Notice, err = time.ParseDuration(value)
		case "alert":
			l.Alert, err = time.ParseDuration(value)
		case "grace":
			l.Grace, err = time.ParseDuration(value)
		default:
			err = errors.New("it is none of share, notice, alert and grace")
		}
		if err != nil {
			return l, fmt.Errorf("class %s: %s=%s: %w", c.Phase, name, value, err)
		}
	}
	return l, nil
}

// settings is l in the detector's units.
func (l IdleLimits) settings() idle.Settings {
	return idle.Settings{
		Share: uint32(math.Round(min(max(l.Share, 0), 1) * 1e6)), Notice: l.Notice.Milliseconds(), Alert: l.Alert.Milliseconds(), Grace: l.Grace.Milliseconds(),
	}
}

// Config is i in the detector's units, with everything that is wrong in it.
func (i Idleness) Config() (idle.Config, error) {
	cfg := idle.Config{Default: i.settings(), Classes: map[string]idle.Settings{}}
	var errs []error
	for _, c := range i.Classes {
		l, err := c.over(i.IdleLimits)
		if _, twice := cfg.Classes[c.Phase]; twice {
			err = fmt.Errorf("class %s is there twice", c.Phase)
		}
		errs = append(errs, err)
		cfg.Classes[c.Phase] = l.settings()
	}
	if err := errors.Join(append(errs, cfg.Validate())...); err != nil {
		return cfg, fmt.Errorf("detect.idle: %w", err)
	}
	return cfg, nil
}

// Validate gives everything that is wrong, with the reasons.
func (d Detect) Validate() error {
	var errs []error
	if d.Group == "" {
		errs = append(errs, errors.New("detect.group: empty: the broker keeps the offsets under its name"))
	}
	_, err := d.Idle.Config()
	return errors.Join(append(errs, err)...)
}

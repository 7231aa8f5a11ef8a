package notify

import (
	"errors"
	"fmt"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// Config says when people are told.
type Config struct {
	Group       string        `koanf:"group" doc:"consumer group of the notifiers; not the one that stores"`
	UpdateEvery time.Duration `koanf:"update_every" doc:"least time between two replacements of one message by newer figures"`
	Storm       Storm         `koanf:"storm"`
}

// Storm says when alerts are told together.
type Storm struct {
	Alerts int           `koanf:"alerts" doc:"messages that are sent one by one within the time storm.within; what is more becomes a digest"`
	Within time.Duration `koanf:"within" doc:"time over which messages are counted; also the least time between two digests"`
	Gather time.Duration `koanf:"gather" doc:"how long the first digest of a storm waits for more"`
}

// DefaultConfig tells five alerts a minute one by one.
func DefaultConfig() Config {
	return Config{
		Group:       "gpumeter-notify",
		UpdateEvery: time.Minute,
		Storm:       Storm{Alerts: 5, Within: time.Minute, Gather: 2 * time.Second},
	}
}

// Use is what a notifier does with the brokers.
func (c Config) Use() broker.Use {
	return broker.Use{
		Reads:  []string{schemas.StreamFindings, schemas.StreamNotices}, // notices: what was said already
		Writes: []string{schemas.StreamNotices},
		Group:  c.Group,
	}
}

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	var errs []error
	if c.Group == "" {
		errs = append(errs, errors.New("notify.group: empty: the broker keeps the offsets under its name"))
	}
	if c.UpdateEvery < 0 || c.UpdateEvery > 24*time.Hour {
		errs = append(errs, fmt.Errorf("notify.update_every: %v is not from 0s to 24h: a message with old figures misleads", c.UpdateEvery))
	}
	if c.Storm.Alerts < 0 || c.Storm.Alerts > 10_000 {
		errs = append(errs, fmt.Errorf("notify.storm.alerts: %d is not from 0 to 10000: Slack takes about one message a second", c.Storm.Alerts))
	}
	if c.Storm.Within < time.Millisecond || c.Storm.Within > time.Hour {
		errs = append(errs, fmt.Errorf("notify.storm.within: %v is not from 1ms to 1h: a digest waits as long", c.Storm.Within))
	}
	if c.Storm.Gather < 0 || c.Storm.Gather > c.Storm.Within {
		errs = append(errs, fmt.Errorf("notify.storm.gather: %v is not from 0s to storm.within, %v", c.Storm.Gather, c.Storm.Within))
	}
	return errors.Join(errs...)
}

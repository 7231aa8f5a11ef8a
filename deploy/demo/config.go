package demo

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/sink/slack"
)

// Config is everything that the demo can be told.
type Config struct {
	Data  string        `koanf:"data" doc:"directory of the ledger, which must not hold one yet; none = a temporary one, removed at the end"`
	Input string        `koanf:"input" doc:"directory of the input contract to play; none = the GPUs of this node, or a synthetic fleet"`
	Speed float64       `koanf:"speed" doc:"event time per time; 0 = 1 for the GPUs of this node, else 60"`
	For   time.Duration `koanf:"for" doc:"how long it goes on; 0s = until Ctrl-C, or the end of the input"`
	GPUs  int           `koanf:"gpus" doc:"GPUs of the synthetic fleet, in nodes of 8; 0 = 64, or the GPUs of this node where there is a driver and speed is not above 1"`
	Seed  uint64        `koanf:"seed" doc:"what the synthetic fleet does: the same seed, flags and time give the same truth file"`

	Price float64 `koanf:"price" doc:"USD for an hour of one GPU of this node: it stands in for what you pay"`

	Listen stack.Listen `koanf:"listen"`
	Slack  slack.Config `koanf:"slack"`
}

// DefaultConfig is a small fleet whose hour lasts a minute, or this node.
func DefaultConfig() Config { return Config{Seed: 1, Price: 2, Slack: slack.DefaultConfig()} }

// What a synthetic fleet is where nobody says otherwise.
const (
	fleetSpeed = 60
	fleetGPUs  = 64
)

// decided is c with everything decided that was left open: whether it is about
// this node, and how large and fast a fleet is otherwise.
func (c Config) decided(driver bool) (_ Config, node bool) {
	if driver && c.Input == "" && c.GPUs == 0 && c.Speed <= 1 {
		c.Speed = 1
		return c, true
	}
	c.Speed, c.GPUs = cmp.Or(c.Speed, fleetSpeed), cmp.Or(c.GPUs, fleetGPUs)
	return c, false
}

// maxSpeed is where a minute of every GPU takes less time than a transaction.
const maxSpeed = 10_000

// maxPrice keeps the price of a node of many GPUs within what a price can be.
const maxPrice = 1_000_000

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	var errs []error
	if c.Speed != 0 && !(c.Speed >= 1 && c.Speed <= maxSpeed) {
		errs = append(errs, fmt.Errorf("speed: %v is not from 1 to %d", c.Speed, maxSpeed))
	}
	if c.For < 0 || c.For > 366*24*time.Hour {
		errs = append(errs, fmt.Errorf("for: %v is not from 0s to a year", c.For))
	}
	if c.GPUs != 0 {
		f := fleet.DefaultConfig()
		f.GPUs = c.GPUs
		if err := f.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("gpus: %w", err))
		}
	}
	if !(c.Price >= 0 && c.Price <= maxPrice) {
		errs = append(errs, fmt.Errorf("price: %v is not from 0 to %d", c.Price, maxPrice))
	}
	return errors.Join(append(errs, c.Slack.Validate())...)
}

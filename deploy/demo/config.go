package demo

import (
	"errors"
	"fmt"
	"time"

	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/sink/slack"
)

// Config is everything that the demo can be told.
type Config struct {
	Data  string        `koanf:"data" doc:"directory of the ledger, which must not hold one yet; none = a temporary one, removed at the end"`
	Input string        `koanf:"input" doc:"directory of the input contract to play; none = the GPUs of this node, or a synthetic fleet where there is none"`
	Speed float64       `koanf:"speed" doc:"event time per time; a node's GPUs go at 1"`
	For   time.Duration `koanf:"for" doc:"how long it goes on; 0s = until Ctrl-C, or the end of the input"`
	GPUs  int           `koanf:"gpus" doc:"GPUs of the synthetic fleet, in nodes of 8"`
	Seed  uint64        `koanf:"seed" doc:"what the synthetic fleet does: the same seed, flags and time give the same truth file"`

	Listen stack.Listen `koanf:"listen"`
	Slack  slack.Config `koanf:"slack"`
}

// DefaultConfig is a small fleet whose hour lasts a minute.
func DefaultConfig() Config {
	return Config{Speed: 60, GPUs: 64, Seed: 1, Slack: slack.DefaultConfig()}
}

// maxSpeed is where a minute of every GPU takes less time than a transaction.
const maxSpeed = 10_000

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	var errs []error
	if !(c.Speed >= 1 && c.Speed <= maxSpeed) {
		errs = append(errs, fmt.Errorf("speed: %v is not from 1 to %d", c.Speed, maxSpeed))
	}
	if c.For < 0 || c.For > 366*24*time.Hour {
		errs = append(errs, fmt.Errorf("for: %v is not from 0s to a year", c.For))
	}
	if c.Input == "" && c.GPUs <= 0 {
		errs = append(errs, fmt.Errorf("gpus: %d: a fleet has some", c.GPUs))
	}
	return errors.Join(append(errs, c.Slack.Validate())...)
}

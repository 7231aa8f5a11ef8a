package replay

import (
	"errors"
	"time"

	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// Config is everything that a replay can be told but its directory.
type Config struct {
	Stack stack.Config    `koanf:",squash"`
	Rules processor.Rules `koanf:",squash"`
	Batch publish.Config  `koanf:"batch"`
	Until service.Instant `koanf:"until" doc:"horizon: RFC 3339 or Unix ms; none = the largest time of a sample, process or allocation event"`
}

// keepSamples is how far behind the horizon a replay restates: all that a GPU
// of today can have seen. A replay reads everything at once and forgets at its
// end, so there is nothing to bound.
const keepSamples = 20 * 365 * 24 * time.Hour

// DefaultConfig lacks the data directory.
func DefaultConfig() Config {
	c := Config{Stack: stack.DefaultConfig(), Rules: processor.DefaultRules(), Batch: publish.DefaultConfig()}
	c.Rules.State.Samples = keepSamples
	c.Rules.Early.Every = 0 // nobody looks at a window before the end
	return c
}

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	return errors.Join(c.Stack.Validate(), c.Rules.Validate(), c.Batch.Validate())
}

package nvml

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"time"
)

// Config says what is sampled how often, and what the node's resource record
// says beside the GPUs.
type Config struct {
	Interval  time.Duration `koanf:"interval" doc:"time between two samples of a GPU"`
	Timeout   time.Duration `koanf:"timeout" doc:"longest time that a round waits for a GPU; less than interval"`
	Processes time.Duration `koanf:"processes" doc:"time between two looks at the processes and MIG instances"`
	Library   string        `koanf:"library" doc:"path of libnvidia-ml.so.1; empty = where the linker finds it"`

	Node            string  `koanf:"node" doc:"name of this node; empty = the host's name"`
	Resource        string  `koanf:"resource" doc:"id of the instance or server that is paid for; empty = the node's name"`
	Cluster         string  `koanf:"cluster" doc:"cluster of the node"`
	Provider        string  `koanf:"provider" doc:"cloud or owner, as in the prices"`
	Region          string  `koanf:"region" doc:"region, as in the prices"`
	SKU             string  `koanf:"sku" doc:"instance type, as in the prices"`
	PricingCategory string  `koanf:"pricing_category" doc:"on_demand, spot, committed or owned, as in the prices"`
	Scheduler       bool    `koanf:"scheduler" doc:"its allocations come from a scheduler: time that nobody holds is unallocated, sampled or not"`
	IdleWatts       float64 `koanf:"idle_watts" doc:"power of a GPU above which it works, whatever else it reports; 0 = not given"`
}

// DefaultConfig samples each second and looks at processes every five. It lacks
// the provider.
func DefaultConfig() Config {
	return Config{Interval: time.Second, Timeout: 500 * time.Millisecond, Processes: 5 * time.Second, PricingCategory: "on_demand"}
}

// Named is c with the names that were left empty.
func (c Config) Named() (Config, error) {
	if c.Node == "" {
		name, err := os.Hostname()
		if err != nil {
			return c, fmt.Errorf("source.nvml.node: none given, and the host has none: %w", err)
		}
		c.Node = name
	}
	if c.Resource == "" {
		c.Resource = c.Node
	}
	return c, nil
}

// gpmGap is less than what two counter samples must be apart: NVML asks for more
// than 100 ms and the wake-ups of two rounds are not exact.
const gpmGap = 105 * time.Millisecond

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("source.nvml."+format, args...)) }
	if c.Interval < 2*gpmGap || c.Interval > time.Minute {
		wrong("interval: %v is not from %v to 1m: activity counters need more than 100ms, and a sample speaks for three intervals", c.Interval, 2*gpmGap)
	}
	if c.Interval%time.Millisecond != 0 {
		wrong("interval: %v is not whole milliseconds, in which instants are counted", c.Interval)
	}
	if c.Timeout <= 0 || c.Timeout >= c.Interval {
		wrong("timeout: %v is not between 0 and interval, %v: a round ends before the next begins", c.Timeout, c.Interval)
	}
	if c.Processes < c.Interval || c.Processes > time.Minute {
		wrong("processes: %v is not from interval, %v, to 1m: holds begin and end with it", c.Processes, c.Interval)
	}
	if c.Provider == "" {
		wrong("provider: none given: it names the price together with region, sku and pricing_category; write the cloud, or who owns the server")
	}
	if !slices.Contains([]string{"on_demand", "spot", "committed", "owned"}, c.PricingCategory) {
		wrong("pricing_category: %q is none of on_demand, spot, committed, owned", c.PricingCategory)
	}
	if !(c.IdleWatts >= 0 && c.IdleWatts < math.MaxUint32/1000) {
		wrong("idle_watts: %v is not a power in watts", c.IdleWatts)
	}
	return errors.Join(errs...)
}

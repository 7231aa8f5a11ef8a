// Command gpumeter-processor computes cost facts from the events in Kafka. Its
// configuration and its stop are those of every gpumeter binary: see package
// service.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// defaultPort of /metrics, /healthz and /readyz.
const defaultPort = 9461

// config is everything that the binary can be told.
type config struct {
	Shell     service.Config   `koanf:",squash"`
	Processor processor.Config `koanf:",squash"`
}

// Validate gives everything that is wrong, with the reasons.
func (c config) Validate() error {
	return errors.Join(c.Shell.Validate(), c.Processor.Validate())
}

func main() {
	os.Exit(service.Main(command(), os.Args[1:], os.Stderr))
}

func command() *cobra.Command {
	return service.Command(service.Binary[config]{
		Use:   "gpumeter-processor",
		Short: "compute cost facts from the events in Kafka",
		Long: `gpumeter-processor reads gpumeter.samples and the reference topics, and writes the
cost of every GPU in every window to gpumeter.cost: early while the window is open,
final when it closes, and again whenever something late changes it. Several of them
share the partitions; any of them may be killed at any time.

It is ready when it owns partitions or waits as a spare. What it keeps in state.dir
may be lost: it is recomputed from the topics.`,
		Example: `  gpumeter-processor --set brokers=kafka-1:9092,kafka-2:9092 --set instance=processor-0
  GPUMETER_IDLE_EPSILON=0.05 gpumeter-processor --config processor.yaml`,
		Defaults: func() config {
			return config{Shell: service.DefaultConfig(defaultPort), Processor: processor.DefaultConfig()}
		},
		Shell: func(c *config) *service.Config { return &c.Shell },
		Run:   run,
	})
}

func run(ctx context.Context, cfg config, p *service.Process) error {
	return processor.Run(ctx, cfg.Processor, processor.Env{
		Log:    p.Log,
		Meter:  p.Meter("github.com/gpumeter/gpumeter/processor"),
		Memory: p.Memory,
		Ready:  func(m *meter.Meter) { p.Ready(m.Waiting) },
	})
}

// Command gpumeter-collector publishes what a source says of GPUs to Kafka: files
// of the input contract, the GPUs of its node, or a synthetic fleet. Its
// configuration and its stop are those of every gpumeter binary: see package
// service.
package main

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// defaultPort of /metrics, /healthz and /readyz.
const defaultPort = 9460

// config is everything that the binary can be told.
type config struct {
	Shell     service.Config   `koanf:",squash"`
	Collector collector.Config `koanf:",squash"`
}

// Validate gives everything that is wrong, with the reasons.
func (c config) Validate() error {
	return errors.Join(c.Shell.Validate(), c.Collector.Validate())
}

func main() {
	os.Exit(service.Main(command(), os.Args[1:], os.Stderr))
}

func command() *cobra.Command {
	return service.Command(service.Binary[config]{
		Use:   "gpumeter-collector",
		Short: "publish GPU events to Kafka",
		Long: `gpumeter-collector publishes what a source hands over to the topics gpumeter.*,
which it makes where they are missing. It neither sorts nor deduplicates: events
that come again count once. Exit code 0 means that everything that was read is
acknowledged by the brokers or, with spool.dir, kept there for the next start.
source.kind names the source:

files   a directory of the input contract (samples.ndjson, processes.ndjson,
        allocations.ndjson, resources.ndjson, prices.csv, tags.csv), each file in
        file order. A line that cannot be read goes to gpumeter.dead_letters with
        file:line and the reason; the rest is unharmed. It ends at the end of the
        files. With source.files.follow it waits for more, for files to appear and
        for rotation, until it is told to stop.
fleet   a synthetic fleet that follows from source.fleet.seed, live or faster, and
        the truth of what it simulated (source.fleet.truth).
nvml    the GPUs of this node, by NVIDIA's management library, and who holds them
        (owners.*): the agent of a GPU node. It goes on until it is told to stop.`,
		Example: `  gpumeter-collector --set brokers=kafka-1:9092,kafka-2:9092 --set source.files.dir=/var/lib/gpu-events
  gpumeter-collector --config collector.yaml --set source.files.follow=true
  gpumeter-collector --set brokers=localhost:9092 --set source.kind=fleet --set source.fleet.gpus=64 --set source.fleet.speed=60
  gpumeter-collector --set brokers=kafka-1:9092 --set source.kind=nvml --set source.nvml.provider=aws --set source.nvml.sku=p5.48xlarge --set spool.dir=/var/lib/gpumeter/spool`,
		Defaults: func() config {
			return config{Shell: service.DefaultConfig(defaultPort), Collector: collector.DefaultConfig()}
		},
		Shell: func(c *config) *service.Config { return &c.Shell },
		Run:   run,
	})
}

func run(ctx context.Context, cfg config, p *service.Process) error {
	_, err := collector.Run(ctx, cfg.Collector, collector.Env{
		Log:   p.Log,
		Meter: p.Meter("github.com/gpumeter/gpumeter/collector"),
		Now:   time.Now,
		Ready: func(func() publish.Stats) { p.Ready(nil) },
	})
	return err
}

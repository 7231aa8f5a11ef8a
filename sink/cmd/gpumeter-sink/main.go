// Command gpumeter-sink stores the topics of gpumeter in ClickHouse. Its
// configuration and its stop are those of every gpumeter binary: see package
// service.
package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/schemas/service"
	"github.com/gpumeter/gpumeter/sink"
)

// defaultPort of /metrics, /healthz and /readyz.
const defaultPort = 9462

// config is everything that the binary can be told.
type config struct {
	Shell service.Config `koanf:",squash"`
	Sink  sink.Config    `koanf:",squash"`
}

// Validate gives everything that is wrong, with the reasons.
func (c config) Validate() error {
	return errors.Join(c.Shell.Validate(), c.Sink.Validate())
}

func main() {
	os.Exit(service.Main(command(), os.Args[1:], os.Stderr))
}

func command() *cobra.Command {
	return service.Command(service.Binary[config]{
		Use:   "gpumeter-sink",
		Short: "store cost facts, samples and events in ClickHouse",
		Long: `gpumeter-sink reads the topics gpumeter.* and stores them in the database gpumeter
of a ClickHouse server, whose tables and views it makes and migrates first. People
query gpumeter.cost, cost_history, allocations, samples and dead_letters.

Rows are inserted at least once and collapse by their keys: a crash at any moment
loses and doubles nothing. Several sinks of one group share the work. While the
server is away or busy the sink waits and reads no further.`,
		Example: `  gpumeter-sink --set brokers=kafka-1:9092 --set 'clickhouse=clickhouse://gpumeter@db:9000?password_file=/run/secrets/db'
  gpumeter-sink --config sink.yaml --set flush.every=5s`,
		Defaults: func() config {
			return config{Shell: service.DefaultConfig(defaultPort), Sink: sink.DefaultConfig()}
		},
		Shell: func(c *config) *service.Config { return &c.Shell },
		Run:   run,
	})
}

func run(ctx context.Context, cfg config, p *service.Process) error {
	return sink.Run(ctx, cfg.Sink, sink.Env{
		Log:   p.Log,
		Meter: p.Meter("github.com/gpumeter/gpumeter/sink"),
		Ready: func(func() sink.Stats) { p.Ready(nil) },
	})
}

// Command gpumeter-sink stores the topics of gpumeter in ClickHouse and tells of
// alerts in Slack. Its configuration and its stop are those of every gpumeter binary: see package
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
		Short: "store cost facts, samples, events and findings in ClickHouse, announce alerts in Slack",
		Long: `gpumeter-sink reads the topics gpumeter.* and stores them in the database gpumeter
of a ClickHouse server, whose tables and views it makes and migrates first. People
query gpumeter.cost, cost_history, findings, allocations, samples and dead_letters.

Rows are inserted at least once and collapse by their keys: a crash at any moment
loses and doubles nothing. Several sinks of one group share the work. While the
server is away or busy the sink waits and reads no further; /readyz says why.

With slack.webhook_file, or slack.token_file and slack.channel, it announces each
alert once when it is raised and once when it is over. Neither a Slack that is away
nor a ClickHouse that is away holds up the other.`,
		Example: `  gpumeter-sink --set brokers=kafka-1:9092 --set 'clickhouse=clickhouse://gpumeter@db:9000?password_file=/run/secrets/db'
  gpumeter-sink --config sink.yaml --set flush.every=5s
  gpumeter-sink --config sink.yaml --set slack.token_file=/run/secrets/slack --set slack.channel=C0123456789`,
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
		Ready: func(stats func() sink.Stats) { p.Ready(func() error { return stats().Waiting }) },
	})
}

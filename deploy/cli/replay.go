package cli

import (
	"encoding/json"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/replay"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// replayConfig is everything that gpumeter replay can be told.
type replayConfig struct {
	Log    service.Log   `koanf:"log"`
	Replay replay.Config `koanf:",squash"`
}

func replayCommand() *cobra.Command {
	var o options
	var asJSON bool
	defaults := replayConfig{Log: defaultLog(), Replay: replay.DefaultConfig()}
	cmd := &cobra.Command{
		Use:   "replay DIR --data DATA",
		Short: "run a directory of events through the whole pipeline into a ledger",
		Long: `replay reads the files of the input contract in DIR (samples.ndjson, allocations.ndjson,
resources.ndjson, prices.csv, tags.csv, …) and runs them through collector, Kafka,
processor, Kafka, sink and ClickHouse, as fast as it goes, until everything can be
queried. Then it prints what it did and what the ledger adds up to.

Order, delay and repetition of events do not matter. A second replay into the same
DATA adds its events to the same ledger, by the same rules.`,
		Example: `  gpumeter replay events --data ledger
  gpumeter replay events --data ledger --until 2026-07-01T00:00:00Z
  gpumeter replay events --data ledger --set idle.epsilon=0.05 --json
  gpumeter replay events --brokers kafka-1:9092 --clickhouse clickhouse://gpumeter@clickhouse:9000`,
		Args: oneArgument("directory"),
	}
	o.stackFlags(cmd)
	o.flag(cmd, "until", "until", "horizon of the ledger: `TIME` in RFC 3339 or Unix milliseconds")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the summary as JSON")
	o.keys(cmd, defaults)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := loadWithSettings(&o, defaults, func(c replayConfig) string { return c.Replay.Stack.Data })
		if err != nil {
			return err
		}
		if err := directory(args[0]); err != nil {
			return err
		}
		summary, err := replay.Run(cmd.Context(), cfg.Replay, args[0], replay.Env{
			Log: cfg.Log.Logger(cmd.ErrOrStderr()), Progress: cmd.ErrOrStderr(), Now: time.Now,
		})
		if err != nil {
			return err
		}
		if asJSON {
			out := json.NewEncoder(cmd.OutOrStdout())
			out.SetIndent("", "  ")
			return out.Encode(summary)
		}
		return summary.Print(cmd.OutOrStdout())
	}
	return cmd
}

package cli

import (
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/settings"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// Root is the command gpumeter with everything below it.
func Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "gpumeter",
		Short: "turn GPU-seconds into money while they happen",
		Long: `gpumeter turns the events of GPU clusters into a ledger of cost facts: which
allocation held which GPU, what it did with it, and what that cost. This is the
all-in-one: a broker and a ClickHouse in this process, or your own.`,
		Example: `  gpumeter generate events --seed 1          make up a cluster's events
  gpumeter replay events --data ledger       run them through the pipeline
  gpumeter query --data ledger "SELECT team, sum(list_cost) FROM gpumeter.cost GROUP BY team"
  gpumeter verify --data ledger --input events   recompute all of it another way`,
		Version: service.Version(), SilenceUsage: true, SilenceErrors: true,
	}
	root.AddCommand(demoCommand(), replayCommand(), queryCommand(), verifyCommand(), generateCommand(), serveCommand(), topicsCommand(), migrateCommand(), lettersCommand())
	return root
}

// options are what the commands have in common: where settings come from, and
// the flags that are short for one.
type options struct {
	from  service.Sources
	flags []sugar
}

// sugar is a flag that sets one key.
type sugar struct {
	key   string
	value *string
}

// flag adds a flag that is short for --set key=value, and stronger.
func (o *options) flag(cmd *cobra.Command, name, key, usage string) {
	o.flags = append(o.flags, sugar{key, cmd.Flags().String(name, "", usage)})
}

// keys gives cmd --config, --set and the help on its keys.
func (o *options) keys(cmd *cobra.Command, defaults any) {
	service.AddFlags(cmd, &o.from, defaults)
}

// sources are those of the command line, with the settings of the ledger in
// data as the base.
func (o *options) sources(data string) service.Sources {
	from := o.from
	from.Set = append([]string(nil), o.from.Set...)
	for _, f := range o.flags {
		if *f.value != "" {
			from.Set = append(from.Set, f.key+"="+*f.value)
		}
	}
	if data != "" {
		from.Base = settings.File(data)
	}
	return from
}

// loadWithSettings loads once to find the data directory, and again with the
// rules that the ledger in it was made with as the base.
func loadWithSettings[C any](o *options, defaults C, data func(C) string) (C, error) {
	cfg := defaults
	if err := service.Load(&cfg, o.sources("")); err != nil {
		return cfg, err
	}
	from := o.sources(data(cfg))
	cfg = defaults
	err := service.Load(&cfg, from)
	return cfg, err
}

// defaultLog is quiet: a command's output is what a person wants to see.
func defaultLog() service.Log {
	log := service.DefaultConfig(0).Log
	log.Level = slog.LevelWarn
	return log
}

// stackFlags are short for where the ledger is.
func (o *options) stackFlags(cmd *cobra.Command) {
	o.flag(cmd, "data", "data", "`DIR` of the embedded broker and ClickHouse, made when missing")
	o.flag(cmd, "brokers", "brokers", "`LIST` of host:port of your brokers instead of the embedded one")
	o.flag(cmd, "clickhouse", "clickhouse", "`DSN` of your ClickHouse instead of the embedded one")
}

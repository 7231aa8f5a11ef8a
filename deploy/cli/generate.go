package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// generateConfig is everything that gpumeter generate can be told.
type generateConfig struct {
	Seed     uint64          `koanf:"seed" doc:"the same seed and settings give the same bytes"`
	Start    service.Instant `koanf:"start" doc:"time of the first sample: RFC 3339 or Unix ms"`
	Duration time.Duration   `koanf:"duration" doc:"from the first sample to the last"`
	Nodes    int             `koanf:"nodes" doc:"nodes"`
	GPUs     int             `koanf:"gpus" doc:"GPUs of a node"`
	Interval time.Duration   `koanf:"interval" doc:"time between two samples of a GPU"`
	Jobs     int             `koanf:"jobs" doc:"allocations; 0 = enough to hold most GPUs most of the time"`
	Features string          `koanf:"features" doc:"oddities, comma-separated: slices shares updates requeues labels tags prices conflicts replacements overlaps unscheduled gaps missing repeats late orphans bad_lines; all; none = a tidy cluster"`
	Shuffle  bool            `koanf:"shuffle" doc:"the lines of each file in an order drawn from the seed"`
}

func defaultGenerate() generateConfig {
	o := generate.Defaults()
	return generateConfig{
		Seed: o.Seed, Start: service.Instant(o.Start), Duration: time.Duration(o.Duration) * time.Millisecond, Nodes: o.Nodes, GPUs: o.GPUsPerNode,
		Interval: time.Duration(o.Interval) * time.Millisecond, Jobs: o.Jobs, Features: "all",
	}
}

// options are c in the generator's units.
func (c generateConfig) options() (generate.Options, error) {
	features, err := generate.ParseFeatures(c.Features)
	if err != nil {
		return generate.Options{}, err
	}
	return generate.Options{
		Seed: c.Seed, Start: int64(c.Start), Duration: c.Duration.Milliseconds(), Nodes: c.Nodes, GPUsPerNode: c.GPUs,
		Interval: c.Interval.Milliseconds(), Jobs: c.Jobs, Features: features,
	}, nil
}

func generateCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "generate DIR",
		Short: "make up a cluster's events",
		Long: `generate writes the files of the input contract for a cluster that never was, with
all the oddities that the rules speak of: MIG slices, shares, price changes, gaps,
late and repeated lines, and lines that must be refused. The same seed and settings
give the same bytes.`,
		Example: `  gpumeter generate events --seed 7
  gpumeter generate events --set nodes=100 --set gpus=8 --set duration=10m --set interval=1s --set features=
  gpumeter generate events --seed 7 --set shuffle=true`,
		Args: oneArgument("directory"),
	}
	o.flag(cmd, "seed", "seed", "`NUMBER` that everything is drawn from")
	o.keys(cmd, defaultGenerate())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg := defaultGenerate()
		if err := service.Load(&cfg, o.sources("")); err != nil {
			return err
		}
		opt, err := cfg.options()
		if err != nil {
			return err
		}
		lines, err := generate.Write(args[0], opt)
		if err == nil && cfg.Shuffle {
			err = generate.Shuffle(args[0], args[0], cfg.Seed)
		}
		for _, name := range slices.Sorted(maps.Keys(lines)) {
			_, printed := fmt.Fprintf(cmd.OutOrStdout(), "%-20s %d\n", name, lines[name])
			err = errors.Join(err, printed)
		}
		return err
	}
	return cmd
}

package collector

import (
	"context"
	"errors"
	"fmt"

	"github.com/gpumeter/gpumeter/collector/files"
	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/collector/nvml"
	"github.com/gpumeter/gpumeter/collector/owners"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/collector/source"
)

// Kinds of sources.
const (
	KindFiles = "files" // a directory of the input contract
	KindFleet = "fleet" // a synthetic fleet
	KindNVML  = "nvml"  // the GPUs of this node, and who holds them
)

// Source says what is collected: one source, with its own settings. The settings
// of the others are not looked at.
type Source struct {
	Kind  string       `koanf:"kind" doc:"what is collected: files, fleet or nvml"`
	Files files.Config `koanf:"files"`
	Fleet fleet.Config `koanf:"fleet"`
	NVML  nvml.Config  `koanf:"nvml"`
}

// DefaultSource reads files; their directory must be given.
func DefaultSource() Source {
	return Source{Kind: KindFiles, Files: files.DefaultConfig(), Fleet: fleet.DefaultConfig(), NVML: nvml.DefaultConfig()}
}

// Validate gives what is wrong with the source that is named.
func (s Source) Validate() error {
	switch s.Kind {
	case KindFiles:
		return s.Files.Validate()
	case KindFleet:
		return s.Fleet.Validate()
	case KindNVML:
		return s.NVML.Validate()
	default:
		return fmt.Errorf("source.kind: %q is not %s, %s or %s", s.Kind, KindFiles, KindFleet, KindNVML)
	}
}

// live tells that the source cannot wait: what it does not see when it happens it
// never sees.
func (s Source) live() bool { return s.Kind != KindFiles }

// collect runs the source until it has no more or ctx ends.
func collect(ctx context.Context, cfg Config, env Env, to *publish.Publisher) error {
	if env.Source != nil {
		return env.Source.Run(ctx, to)
	}
	switch cfg.Source.Kind {
	case KindFleet:
		return fleet.Live{Config: cfg.Source.Fleet}.Run(ctx, to)
	case KindNVML:
		return Node(ctx, cfg, env, to)
	default:
		return files.Source{Config: cfg.Source.Files, Ignored: to.Ignored}.Run(ctx, to)
	}
}

// Node samples the GPUs of this node and tells who holds them, until ctx ends: it
// is the source KindNVML for whoever brings the sink. It uses of cfg what is said
// of them, Source.NVML and Owners.
func Node(ctx context.Context, cfg Config, env Env, to source.Sink) (err error) {
	node, err := cfg.Source.NVML.Named()
	if err != nil {
		return err
	}
	holders, err := owners.New(cfg.Owners, node.Node)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, holders.Close()) }()
	metrics, err := holders.Register(env.Meter)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.Unregister()) }()
	gpus, err := nvml.New(node, nvml.Env{Log: env.Log, Meter: env.Meter, Owners: holders})
	if err != nil {
		return err
	}
	return gpus.Run(ctx, to)
}

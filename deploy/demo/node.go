package demo

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
)

// driverFile is there where NVIDIA's kernel driver is loaded.
const driverFile = "/proc/driver/nvidia/version"

// hasDriver tells whether this node may have GPUs.
func hasDriver() bool {
	_, err := os.Stat(driverFile)
	return !errors.Is(err, fs.ErrNotExist)
}

// provider is who owns the GPUs of this node, as far as the demo knows.
const provider = "demo"

// A node is this machine's GPUs, live. Nobody has told what they cost, so each
// has a price that stands in.
type node struct {
	log   *slog.Logger
	price int64 // of an hour of one GPU, nano-units of USD
	now   func() time.Time
}

// Reached is now: what the driver says is handed over within a second.
func (n *node) Reached() int64 { return n.now().UnixMilli() }

// Run samples until ctx ends.
func (n *node) Run(ctx context.Context, to source.Sink) error {
	cfg := collector.DefaultConfig()
	cfg.Source.NVML.Provider = provider
	env := collector.Env{Log: n.log, Meter: noop.Meter{}, Now: n.now}
	return collector.Node(ctx, cfg, env, &priced{Sink: to, perGPU: n.price})
}

// A priced sink gives each resource that comes a price.
type priced struct {
	source.Sink
	perGPU int64
}

// Resource passes the resource on, after its price.
func (p *priced) Resource(r schemas.Resource) error {
	err := p.Price(schemas.Price{
		Provider: r.Provider, Region: r.Region, SKU: r.SKU, PricingCategory: r.PricingCategory,
		Currency: "USD", PerHour: p.perGPU * int64(len(r.GPUs)), From: r.From,
	})
	if err != nil {
		return err
	}
	return p.Sink.Resource(r)
}

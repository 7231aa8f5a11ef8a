package nvml

import (
	"context"
	"log/slog"
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/collector/owners"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
)

// Owners is told all processes on the GPUs of the node at ts and returns the
// allocation of each pid ("" = unknown). It hands starts, updates and ends of
// allocations to the sink. An error is the sink's. An owners.Tracker is one.
type Owners interface {
	Observe(ts int64, held []owners.Held, to source.Sink) (map[int]string, error)
}

// Env is what the source gets from its surroundings.
type Env struct {
	Log    *slog.Logger
	Meter  metric.Meter
	Owners Owners // nil: processes have no allocation
}

// A node is the source.
type node struct {
	cfg  Config
	env  Env
	open func(Config, *slog.Logger) (driver, error)
}

// New makes the source of this node's GPUs. It opens nothing: Run does.
func New(cfg Config, env Env) (source.Source, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg, err := cfg.Named()
	if err != nil {
		return nil, err
	}
	return &node{cfg: cfg, env: env, open: openDriver}, nil
}

const (
	// slowOpen is when somebody should know that the driver still initialises:
	// without persistence mode it takes some seconds a GPU.
	slowOpen = 30 * time.Second
	// stopWithin is how long a stop waits for calls under way. A call that hangs
	// in the driver is left to the end of the process.
	stopWithin = time.Second
)

// Run implements source.Source: it samples until ctx ends.
func (n *node) Run(ctx context.Context, to source.Sink) error {
	d, err := n.opened(ctx)
	if err != nil || d == nil {
		return err
	}
	r, err := newRounds(n.cfg, n.env, d.gpus())
	if err != nil {
		d.close()
		return err
	}
	n.env.Log.Info("sampling GPUs", "node", n.cfg.Node, "gpus", len(d.gpus()), "interval", n.cfg.Interval)
	if err = to.Resource(n.resource(d.gpus(), time.Now().UnixMilli())); err == nil {
		err = r.run(ctx, to)
	}
	if hanging := r.stop(stopWithin); hanging > 0 {
		n.env.Log.Warn("stopped while calls hang in the driver; the library is not shut down", "gpus", hanging)
		return err
	}
	d.close()
	return err
}

// opened gives the driver, or nil when ctx ends first: an initialisation that
// hangs cannot be called off, only left behind.
func (n *node) opened(ctx context.Context) (driver, error) {
	type result struct {
		driver driver
		err    error
	}
	done, left := make(chan result), make(chan struct{})
	defer close(left)
	go func() {
		d, err := n.open(n.cfg, n.env.Log)
		select {
		case done <- result{d, err}:
		case <-left:
			if err == nil {
				d.close()
			}
		}
	}()
	slow := time.NewTimer(slowOpen)
	defer slow.Stop()
	for {
		select {
		case r := <-done:
			return r.driver, r.err
		case <-ctx.Done():
			return nil, nil
		case <-slow.C:
			n.env.Log.Warn("the driver still initialises; nothing is sampled yet", "for", slowOpen)
		}
	}
}

// resource is the record of what is paid for at this node. It begins now: what
// was before is not known to be the same, and the record of the previous run
// covers the time between the two.
func (n *node) resource(gpus []gpu, now int64) schemas.Resource {
	r := schemas.Resource{
		Node: n.cfg.Node, Resource: n.cfg.Resource, Cluster: n.cfg.Cluster, Provider: n.cfg.Provider, Region: n.cfg.Region,
		SKU: n.cfg.SKU, PricingCategory: n.cfg.PricingCategory, Scheduler: n.cfg.Scheduler, IdleWatts: schemas.Absent32, From: now,
	}
	if n.cfg.IdleWatts > 0 {
		r.IdleWatts = uint32(math.Round(n.cfg.IdleWatts * 1000))
	}
	for _, g := range gpus {
		r.GPUs = append(r.GPUs, g.id())
	}
	r.Model = gpus[0].model()
	slices.Sort(r.GPUs)
	return r
}

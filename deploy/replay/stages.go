package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/files"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// publish reads the files to their end; all of it is acknowledged.
func (r *replay) publish(dir string) (err error) {
	cfg := collector.DefaultConfig()
	cfg.Broker, cfg.Topics, cfg.Batch = r.pipeline.Stack.Broker, r.cfg.Stack.Topics, r.cfg.Batch
	cfg.Topics.Partitions = r.pipeline.Partitions
	cfg.Source.Files = files.DefaultConfig()
	cfg.Source.Files.Dir = dir
	ctx := r.pipeline.Context()
	r.published, err = collector.Run(ctx, cfg, collector.Env{
		Log: r.Log, Meter: noop.Meter{}, Now: r.Now,
		Ready: r.watch.collector,
	})
	if err != nil {
		return fmt.Errorf("collector: %w", errors.Join(err, context.Cause(ctx)))
	}
	r.watch.published = r.Now()
	return nil
}

// settle names the horizon and waits until what was published is queryable.
func (r *replay) settle() error {
	// Before its partitions are recovered the meter does not know the horizon
	// of a ledger that was there before.
	before, err := r.pipeline.Recovered()
	if err != nil {
		return err
	}
	horizon := r.latest(before)
	if horizon == 0 {
		r.Log.Warn("there was no sample, process or allocation event: the ledger has no horizon and stays empty; name one with --until")
	} else if err := r.tick(horizon); err != nil {
		return err
	}
	r.watch.metered = r.Now()
	err = r.pipeline.Queryable()
	r.watch.stored = r.Now()
	return err
}

// latest is the horizon: what was asked for, else the largest event time of these files; the
// ledger's own where it is later, since a horizon never goes back.
func (r *replay) latest(before int64) int64 {
	horizon := cmp.Or(int64(r.cfg.Until), r.published.MaxEvent)
	if r.cfg.Until != 0 && before > horizon {
		r.Log.Warn("the ledger's horizon is later than --until and stays", "until", r.cfg.Until, "horizon", service.Instant(before))
	}
	return max(horizon, before)
}

// tick writes the record that moves time and waits until every partition has
// applied it and committed what it changed.
func (r *replay) tick(horizon int64) error {
	offset, err := r.pipeline.Tick(r.pipeline.Context(), schemas.Tick{Horizon: horizon, Final: true})
	if err != nil {
		return err
	}
	r.horizon = service.Instant(horizon)
	return r.pipeline.Applied(offset)
}

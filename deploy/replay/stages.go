package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/files"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
)

// While input flows, batches and transactions are as large as the stages make
// them; these only bound the wait for the last rows.
const (
	lastRows = 250 * time.Millisecond
	turn     = 100 * time.Millisecond
)

// longestTransaction is what brokers allow: the last one of a replay holds
// every cell.
const longestTransaction = 15 * time.Minute

// start launches what lies downstream of the collector.
func (r *replay) start() error {
	into := sink.DefaultConfig()
	into.Broker, into.Topics, into.ClickHouse = r.stack.Broker, r.cfg.Stack.Topics, r.stack.ClickHouse
	into.Flush.Every = lastRows
	r.sink = launch(r.ctx, "sink", r.fail, func(ctx context.Context) error {
		return sink.Run(ctx, into, sink.Env{Log: r.Log, Meter: noop.Meter{}, Ready: r.watch.sink})
	})
	ready := make(chan *meter.Meter, 1)
	cfg := processor.DefaultConfig()
	cfg.Broker, cfg.Topics, cfg.Rules = r.stack.Broker, r.cfg.Stack.Topics, r.cfg.Rules
	cfg.Instance = "replay" // a replay after one that was killed ends its transaction at once
	cfg.Tick.Every = 0      // the horizon is named, not read off a clock
	cfg.Transaction.Every, cfg.Transaction.Timeout = turn, longestTransaction
	r.processor = launch(r.ctx, "processor", r.fail, func(ctx context.Context) error {
		return processor.Run(ctx, cfg, processor.Env{Log: r.Log, Meter: noop.Meter{}, Ready: func(m *meter.Meter) { ready <- m }})
	})
	select {
	case r.meter = <-ready:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// publish reads the files to their end; all of it is acknowledged.
func (r *replay) publish(dir string) (err error) {
	cfg := collector.DefaultConfig()
	cfg.Broker, cfg.Topics, cfg.Batch = r.stack.Broker, r.cfg.Stack.Topics, r.cfg.Batch
	cfg.Topics.Partitions = r.partitions
	cfg.Source.Files = files.DefaultConfig()
	cfg.Source.Files.Dir = dir
	r.published, err = collector.Run(r.ctx, cfg, collector.Env{
		Log: r.Log, Meter: noop.Meter{}, Now: r.Now,
		Ready: r.watch.collector,
	})
	if err != nil {
		return fmt.Errorf("collector: %w", errors.Join(err, context.Cause(r.ctx)))
	}
	r.watch.published = r.Now()
	return nil
}

// settle names the horizon and waits until what was published is queryable.
func (r *replay) settle() error {
	// Before its partitions are recovered the meter does not know the horizon
	// of a ledger that was there before.
	if err := await(r.ctx, func(context.Context) (bool, error) { return len(r.meter.Progress()) == int(r.partitions), nil }); err != nil {
		return err
	}
	horizon := r.latest()
	if horizon == 0 {
		r.Log.Warn("there was no sample, process or allocation event: the ledger has no horizon and stays empty; name one with --until")
	} else if err := r.tick(horizon); err != nil {
		return err
	}
	r.watch.metered = r.Now()
	admin := kadm.NewClient(r.client)
	err := await(r.ctx, func(ctx context.Context) (bool, error) {
		lag, err := sink.Lag(ctx, admin, sink.DefaultConfig().Group)
		return lag == 0, err
	})
	r.watch.stored = r.Now()
	return err
}

// latest is the horizon: what was asked for, else the largest event time of these files; the
// ledger's own where it is later, since a horizon never goes back.
func (r *replay) latest() int64 {
	wanted := cmp.Or(int64(r.cfg.Until), r.published.MaxEvent)
	horizon := wanted
	for _, p := range r.meter.Progress() {
		horizon = max(horizon, p.Horizon)
	}
	if r.cfg.Until != 0 && horizon > wanted {
		r.Log.Warn("the ledger's horizon is later than --until and stays", "until", r.cfg.Until, "horizon", Instant(horizon))
	}
	return horizon
}

// tick writes the record that moves time and waits until every partition has
// applied it and committed what it changed.
func (r *replay) tick(horizon int64) error {
	rec, err := wire.Encode("", []schemas.Tick{{Horizon: horizon, Final: true}})
	if err != nil {
		return fmt.Errorf("encode the tick: %w", err)
	}
	sent, err := r.client.ProduceSync(r.ctx, rec).First()
	if err != nil {
		return fmt.Errorf("write the tick: %w", err)
	}
	r.horizon = Instant(horizon)
	return await(r.ctx, func(context.Context) (bool, error) {
		all := r.meter.Progress()
		for _, p := range all {
			if p.Applied <= sent.Offset {
				return false, nil
			}
		}
		return len(all) == int(r.partitions), nil
	})
}

// stop ends the stages, upstream first. A stage that failed says why.
func (r *replay) stop() error {
	var errs []error
	for _, s := range []*stage{r.processor, r.sink} {
		if s != nil {
			errs = append(errs, s.stop())
		}
	}
	return errors.Join(errs...)
}

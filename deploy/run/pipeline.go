package run

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/deploy/settings"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
	"github.com/gpumeter/gpumeter/sink/notify"
	"github.com/gpumeter/gpumeter/sink/slack"
)

// Config says what a pipeline stands on and by which rules it counts.
type Config struct {
	Name  string // of the command; a successor of one that was killed ends its transaction at once
	Stack stack.Config
	Rules processor.Rules
	Tell  Tell // the zero value tells nobody
}

// Tell says who is told of alerts, and how: by Notifier, else where Slack says.
type Tell struct {
	Notifier notify.Notifier
	Slack    slack.Config
	Notify   notify.Config
}

func (t Tell) enabled() bool { return t.Notifier != nil || t.Slack.Enabled() }

// While input flows, batches and transactions are as large as the stages make
// them; these only bound the wait for the last rows.
const (
	lastRows = 250 * time.Millisecond
	turn     = 100 * time.Millisecond
)

// longestTransaction is what brokers allow: the last one of a replay holds
// every cell.
const longestTransaction = 15 * time.Minute

// A Pipeline is a stack and the stages on it. Its methods are for one goroutine,
// but for those that say otherwise.
type Pipeline struct {
	Stack      *stack.Stack
	Conn       driver.Conn // to the ledger; for any goroutine
	Partitions int32       // of the partitioned topics

	cfg    Config
	log    *slog.Logger
	client *kgo.Client

	ctx  context.Context // ends when a stage fails or the caller gives up
	fail context.CancelCauseFunc

	sink, processor *Stage
	meter           *meter.Meter
	stored          func() sink.Stats
}

// Open starts what is embedded, and makes topics and tables. The pipeline is
// given up when ctx ends; Close it in any case.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (_ *Pipeline, err error) {
	p := &Pipeline{cfg: cfg, log: log}
	p.ctx, p.fail = context.WithCancelCause(ctx)
	if p.Stack, err = stack.Open(ctx, cfg.Stack, log); err != nil {
		p.fail(nil)
		return nil, err
	}
	if err := p.prepare(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// prepare connects, and makes topics and tables.
func (p *Pipeline) prepare() (err error) {
	if data := p.cfg.Stack.Data; data != "" {
		if err := settings.Keep(data, p.cfg.Rules); err != nil {
			return err
		}
	}
	if p.Partitions, err = p.Stack.Topics(p.ctx, p.cfg.Stack.Topics); err != nil {
		return err
	}
	if p.client, err = p.Stack.Client("gpumeter-" + p.cfg.Name); err != nil {
		return err
	}
	if p.Conn, err = clickhouse.Open(p.Stack.ClickHouse); err != nil {
		return err
	}
	_, err = clickhouse.Migrate(p.ctx, p.Conn)
	return err
}

// Close disconnects and ends what is embedded. The stages have been stopped.
func (p *Pipeline) Close() error {
	p.fail(nil)
	if p.client != nil {
		p.client.Close()
	}
	if p.Conn != nil {
		_ = p.Conn.Close() // nothing is pending
	}
	return p.Stack.Close()
}

// Context ends when a stage fails, with the reason as its cause, or when the
// pipeline is given up.
func (p *Pipeline) Context() context.Context { return p.ctx }

// Start launches the stages, downstream first. Time does not move by itself:
// see Tick.
func (p *Pipeline) Start() error {
	storing := make(chan func() sink.Stats, 1)
	into := sink.DefaultConfig()
	into.Broker, into.Topics, into.ClickHouse = p.Stack.Broker, p.cfg.Stack.Topics, p.Stack.ClickHouse
	into.Flush.Every = lastRows
	if p.cfg.Tell.enabled() {
		into.Slack, into.Notify = p.cfg.Tell.Slack, p.cfg.Tell.Notify
	}
	env := sink.Env{Log: p.log, Meter: noop.Meter{}, Notifier: p.cfg.Tell.Notifier, Ready: func(s func() sink.Stats) { storing <- s }}
	p.sink = Launch(p.ctx, "sink", p.fail, func(ctx context.Context) error { return sink.Run(ctx, into, env) })
	metering := make(chan *meter.Meter, 1)
	cfg := processor.DefaultConfig()
	cfg.Broker, cfg.Topics, cfg.Rules = p.Stack.Broker, p.cfg.Stack.Topics, p.cfg.Rules
	cfg.Instance = p.cfg.Name
	cfg.Tick.Every = 0 // the caller's
	cfg.Transaction.Every, cfg.Transaction.Timeout = turn, longestTransaction
	p.processor = Launch(p.ctx, "processor", p.fail, func(ctx context.Context) error {
		return processor.Run(ctx, cfg, processor.Env{Log: p.log, Meter: noop.Meter{}, Ready: func(m *meter.Meter) { metering <- m }})
	})
	var err error
	if p.stored, err = next(p.ctx, storing); err != nil {
		return err
	}
	p.meter, err = next(p.ctx, metering)
	return err
}

// next takes one value, or gives why there will be none.
func next[T any](ctx context.Context, from <-chan T) (v T, err error) {
	select {
	case v = <-from:
		return v, nil
	case <-ctx.Done():
		return v, context.Cause(ctx)
	}
}

// Metered is what the processor has done so far. For any goroutine, after Start.
func (p *Pipeline) Metered() meter.Summary { return p.meter.Summary() }

// Stored is what the sink has done so far. For any goroutine, after Start.
func (p *Pipeline) Stored() sink.Stats { return p.stored() }

// Horizon is the ledger's, in Unix ms: the earliest of its partitions'. ok is
// false until the processor has recovered them all. For any goroutine, after Start.
func (p *Pipeline) Horizon() (ms int64, ok bool) {
	all := p.meter.Progress()
	for i, part := range all {
		if i == 0 || part.Horizon < ms {
			ms = part.Horizon
		}
	}
	return ms, len(all) == int(p.Partitions)
}

// Recovered waits until the processor knows the ledger that was there before,
// and returns the latest horizon of its partitions.
func (p *Pipeline) Recovered() (latest int64, err error) {
	err = Await(p.ctx, func(context.Context) (bool, error) { return len(p.meter.Progress()) == int(p.Partitions), nil })
	for _, part := range p.meter.Progress() {
		latest = max(latest, part.Horizon)
	}
	return latest, err
}

// Tick writes the record that moves the ledger's time and returns its offset.
func (p *Pipeline) Tick(ctx context.Context, t schemas.Tick) (offset int64, err error) {
	rec, err := wire.Encode("", []schemas.Tick{t})
	if err != nil {
		return 0, fmt.Errorf("encode the tick: %w", err)
	}
	sent, err := p.client.ProduceSync(ctx, rec).First()
	if err != nil {
		return 0, fmt.Errorf("write the tick: %w", err)
	}
	return sent.Offset, nil
}

// Applied waits until every partition has applied the tick at offset, which
// names a horizon, and has committed what it changed.
func (p *Pipeline) Applied(offset int64) error {
	return Await(p.ctx, func(context.Context) (bool, error) {
		all := p.meter.Progress()
		for _, part := range all {
			if part.Applied <= offset {
				return false, nil
			}
		}
		return len(all) == int(p.Partitions), nil
	})
}

// Queryable waits until ClickHouse has everything that was published before, and
// what was found in it.
func (p *Pipeline) Queryable() error {
	admin := kadm.NewClient(p.client)
	err := Await(p.ctx, func(ctx context.Context) (bool, error) {
		lag, err := behind(ctx, admin, processor.DefaultDetect().Group, schemas.Prefix+schemas.StreamActivity)
		return lag == 0, err
	})
	if err != nil {
		return fmt.Errorf("wait for the detector: %w", err)
	}
	return Await(p.ctx, func(ctx context.Context) (bool, error) {
		lag, err := sink.Lag(ctx, admin, sink.DefaultConfig().Group)
		return lag == 0, err
	})
}

// Told waits until people were told of every alert that is published, or until
// ctx ends; it returns how many records of findings were not looked at then.
func (p *Pipeline) Told(ctx context.Context) (left int64, err error) {
	if !p.cfg.Tell.enabled() {
		return 0, nil
	}
	admin := kadm.NewClient(p.client)
	err = Await(ctx, func(ctx context.Context) (bool, error) {
		n, err := behind(ctx, admin, p.cfg.Tell.Notify.Group, schemas.Prefix+schemas.StreamFindings)
		if err == nil {
			left = n
		}
		return left == 0, err
	})
	if ctx.Err() != nil {
		err = nil // its end is no failure
	}
	return left, err
}

// Stop ends the stages, upstream first. A stage that failed says why.
func (p *Pipeline) Stop() error {
	var errs []error
	for _, s := range []*Stage{p.processor, p.sink} {
		if s != nil {
			errs = append(errs, s.Stop())
		}
	}
	return errors.Join(errs...)
}

package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/collector/owners"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// Config is the collector's configuration.
type Config struct {
	Broker broker.Config       `koanf:",squash"`
	Topics broker.Layout       `koanf:",squash"`
	Source Source              `koanf:"source"`
	Owners owners.Config       `koanf:"owners"` // of the processes that nvml sees
	Batch  publish.Config      `koanf:"batch"`
	Spool  publish.SpoolConfig `koanf:"spool"` // of sources that cannot wait
}

// DefaultConfig lacks the brokers and the directory of files.
func DefaultConfig() Config {
	return Config{
		Topics: broker.DefaultLayout(),
		Source: DefaultSource(),
		Owners: owners.DefaultConfig(),
		Batch:  publish.DefaultConfig(),
		Spool:  publish.DefaultSpool(),
	}
}

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	all := errors.Join(c.Broker.Validate(), c.Topics.Validate(), c.Source.Validate(), c.Batch.Validate(), c.Spool.Validate())
	if c.Source.Kind == KindNVML {
		all = errors.Join(all, c.Owners.Validate())
	}
	if !c.Source.live() && c.Spool.Disk.Dir != "" {
		all = errors.Join(all, fmt.Errorf("spool.dir: source.kind %s has no use for it: its files wait, and are read again", c.Source.Kind))
	}
	return all
}

// Use is what a collector of any source does with the brokers.
func (c Config) Use() broker.Use {
	return broker.Use{Writes: []string{
		schemas.StreamSamples, schemas.StreamProcesses, schemas.StreamAllocations, schemas.StreamResources,
		schemas.StreamPrices, schemas.StreamTags, schemas.StreamDeadLetters,
	}}
}

// Env is what the collector gets from its surroundings.
type Env struct {
	Log   *slog.Logger
	Meter metric.Meter
	Now   func() time.Time // the run's clock, read once
	// Ready, if given, is called when the brokers answered; with a spool reading
	// may have begun before. Stats may be called from then on, from any goroutine,
	// until Run returns.
	Ready func(stats func() publish.Stats)
	// Source, if given, is collected in the place of the one that Config names.
	Source source.Source
}

// stopWithin is how long a stop waits for the brokers to acknowledge what was
// read: less than the 10 seconds that a service has to stop.
const stopWithin = 8 * time.Second

// Run makes sure of the topics, runs the source and publishes what it hands over.
// It returns when the source has no more, or when ctx ends: for a source that
// goes on for ever that is the regular end. A nil error means that everything that was
// read is acknowledged or, with a spool, in it. Stats are valid with an error, too.
func Run(ctx context.Context, cfg Config, env Env) (stats publish.Stats, err error) {
	if err := cfg.Validate(); err != nil {
		return stats, err
	}
	defer func() { err = cfg.Broker.Explain(err) }()
	opts, err := cfg.Broker.Options("gpumeter-collector")
	if err != nil {
		return stats, err
	}
	if cfg.Spool.Disk.Dir != "" {
		return runSpooled(ctx, cfg, env, opts)
	}
	if cfg.Source.live() {
		env.Log.Warn("no spool.dir: while the brokers are away the source waits, and what it does not see then is unknown in the ledger")
	}
	if err := ready(cfg, env, opts, func(asking *kgo.Client) (int32, error) {
		return broker.PrepareWhenThere(ctx, asking, cfg.Topics, cfg.Use(), env.Log)
	}); err != nil {
		return stats, err
	}
	client, err := kgo.NewClient(slices.Concat(opts, broker.ProducerOptions(), publish.DirectOptions())...)
	if err != nil {
		return stats, fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	return publishSource(ctx, cfg, env, client, stopWithin)
}

// ready makes sure of the topics, by a client that only asks: see
// publish.DirectOptions.
func ready(cfg Config, env Env, opts []kgo.Opt, prepare func(*kgo.Client) (partitions int32, err error)) error {
	asking, err := kgo.NewClient(opts...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer asking.Close()
	partitions, err := prepare(asking)
	if err != nil {
		return fmt.Errorf("topics at %v: %w", cfg.Broker.Brokers, err)
	}
	if partitions != cfg.Topics.Partitions {
		env.Log.Warn("the topics keep the partitions that they have", "configured", cfg.Topics.Partitions, "existing", partitions)
	}
	return nil
}

// runSpooled reads the source whether the brokers are there or not.
func runSpooled(ctx context.Context, cfg Config, env Env, plain []kgo.Opt) (stats publish.Stats, err error) {
	opts := append(slices.Clone(plain), broker.ProducerOptions()...)
	client, err := kgo.NewClient(append(publish.SpooledOptions(), opts...)...)
	if err != nil {
		return stats, fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	life := lifetime(ctx, stopWithin)
	defer life.end()
	there := make(chan struct{})
	to, err := publish.NewSpooled(life.ctx, client, cfg.Batch, publish.Spooling{
		Config: cfg.Spool, Stopping: ctx.Done(), Log: env.Log,
		Backlog: func() (*kgo.Client, error) { return kgo.NewClient(opts...) },
		Topics: func(ctx context.Context) error {
			return ready(cfg, env, plain, func(asking *kgo.Client) (int32, error) { return broker.Prepare(ctx, asking, cfg.Topics, cfg.Use()) })
		},
		Ready: func() { close(there) },
	}, env.Meter, env.Now())
	if err != nil {
		return stats, err
	}
	told := make(chan struct{})
	go func() {
		defer close(told)
		select {
		case <-there:
			if env.Ready != nil {
				env.Ready(to.Stats)
			}
		case <-life.ctx.Done():
		}
	}()
	defer func() { life.end(); <-told }()
	select { // brokers that are there at once need no spool
	case <-told:
	case <-ctx.Done():
	case <-time.After(cfg.Spool.After):
	}
	return publishAll(ctx, cfg, env, to, life)
}

// A lifespan is how long records live: longer than the reading, which they
// outlive, and until end is called.
type lifespan struct {
	ctx context.Context
	end func()
}

// lifetime outlives ctx by grace.
func lifetime(ctx context.Context, grace time.Duration) lifespan {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	// A reader that is blocked because the brokers are away does not see the
	// end of ctx; it is freed when its records are given up.
	forget := context.AfterFunc(ctx, func() { time.AfterFunc(grace, end) })
	return lifespan{life, func() { forget(); end() }}
}

// publishSource lets records outlive the context that stops the reading, by
// grace at most.
func publishSource(ctx context.Context, cfg Config, env Env, client *kgo.Client, grace time.Duration) (stats publish.Stats, err error) {
	life := lifetime(ctx, grace)
	defer life.end()
	to, err := publish.New(life.ctx, client, cfg.Batch, env.Meter, env.Now())
	if err != nil {
		return stats, err
	}
	if env.Ready != nil {
		env.Ready(to.Stats)
	}
	return publishAll(ctx, cfg, env, to, life)
}

// publishAll runs the source to its end, and brings what it said to safety.
func publishAll(ctx context.Context, cfg Config, env Env, to *publish.Publisher, life lifespan) (stats publish.Stats, err error) {
	err = collect(ctx, cfg, env, to)
	err = errors.Join(err, to.Flush(life.ctx))
	life.end()
	err = errors.Join(err, to.Close())
	stats = to.Stats()
	report(env.Log, stats)
	return stats, err
}

// report says once what a person should know of a run.
func report(log *slog.Logger, s publish.Stats) {
	for _, f := range sortedFields(s) {
		log.Warn("field ignored: the input contract has none of this name", "stream", f.Stream, "field", f.Name, "times", s.Ignored[f])
	}
	for stream, v := range s.Streams {
		log.Info("published", "stream", stream, "rows", v.Acknowledged, "records", v.Batches, "bytes", v.Bytes)
	}
}

func sortedFields(s publish.Stats) []publish.Field {
	fields := make([]publish.Field, 0, len(s.Ignored))
	for f := range s.Ignored {
		fields = append(fields, f)
	}
	slices.SortFunc(fields, publish.Field.Compare)
	return fields
}

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
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// Config is the collector's configuration.
type Config struct {
	Broker broker.Config  `koanf:",squash"`
	Topics broker.Layout  `koanf:",squash"`
	Source Source         `koanf:"source"`
	Owners owners.Config  `koanf:"owners"` // of the processes that nvml sees
	Batch  publish.Config `koanf:"batch"`
}

// DefaultConfig lacks the brokers and the directory of files.
func DefaultConfig() Config {
	return Config{
		Topics: broker.DefaultLayout(),
		Source: DefaultSource(),
		Owners: owners.DefaultConfig(),
		Batch:  publish.DefaultConfig(),
	}
}

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	all := errors.Join(c.Broker.Validate(), c.Topics.Validate(), c.Source.Validate(), c.Batch.Validate())
	if c.Source.Kind == KindNVML {
		all = errors.Join(all, c.Owners.Validate())
	}
	return all
}

// Env is what the collector gets from its surroundings.
type Env struct {
	Log   *slog.Logger
	Meter metric.Meter
	Now   func() time.Time // the run's clock, read once
	// Ready, if given, is called when the brokers answered and reading begins;
	// stats may be called from then on, from any goroutine, until Run returns.
	Ready func(stats func() publish.Stats)
}

// stopWithin is how long a stop waits for the brokers to acknowledge what was
// read: less than the 10 seconds that a service has to stop.
const stopWithin = 8 * time.Second

// Run makes sure of the topics, runs the source and publishes what it hands over.
// It returns when the source has no more, or when ctx ends: for a source that
// goes on for ever that is the regular end. A nil error means that everything that was
// read is acknowledged. Stats are valid with an error, too.
func Run(ctx context.Context, cfg Config, env Env) (stats publish.Stats, err error) {
	if err := cfg.Validate(); err != nil {
		return stats, err
	}
	opts, err := cfg.Broker.Options("gpumeter-collector")
	if err != nil {
		return stats, err
	}
	client, err := kgo.NewClient(append(opts, broker.ProducerOptions()...)...)
	if err != nil {
		return stats, fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	partitions, err := broker.Ensure(ctx, client, cfg.Topics)
	if err != nil {
		return stats, fmt.Errorf("topics at %v: %w", cfg.Broker.Brokers, err)
	}
	if partitions != cfg.Topics.Partitions {
		env.Log.Warn("the topics keep the partitions that they have", "configured", cfg.Topics.Partitions, "existing", partitions)
	}
	return publishSource(ctx, cfg, env, client, stopWithin)
}

// publishSource lets records outlive the context that stops the reading, by
// grace at most.
func publishSource(ctx context.Context, cfg Config, env Env, client *kgo.Client, grace time.Duration) (stats publish.Stats, err error) {
	life, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	// A reader that is blocked because the brokers are away does not see the
	// end of ctx; it is freed when its records are given up.
	stopped := context.AfterFunc(ctx, func() { time.AfterFunc(grace, giveUp) })
	defer stopped()

	to, err := publish.New(life, client, cfg.Batch, env.Meter, env.Now())
	if err != nil {
		return stats, err
	}
	if env.Ready != nil {
		env.Ready(to.Stats)
	}
	err = collect(ctx, cfg, env, to)
	err = errors.Join(err, to.Flush(life))
	giveUp()
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

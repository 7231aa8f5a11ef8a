package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/gap"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
	"github.com/gpumeter/gpumeter/sink/insert"
	"github.com/gpumeter/gpumeter/sink/notify"
)

// Env is what the sink gets from its surroundings.
type Env struct {
	Log   *slog.Logger
	Meter metric.Meter
	// Ready, if given, is called when the tables are there and consuming
	// begins; stats may be called from then on, from any goroutine.
	Ready func(stats func() Stats)
	// Before, if given, is called with each record before it is read: tests die there.
	Before func(*kgo.Record)
	// Notifier, if given, tells of alerts in the place of Slack.
	Notifier notify.Notifier
	// Inserter, if given, takes what Config.ClickHouse would: a store in the
	// place of a server, for one life of the cost topic. Run does not close it.
	Inserter insert.Inserter
}

// stopWithin is how long a stop waits for the last insert: less than the 10
// seconds that a service has to stop.
const stopWithin = 8 * time.Second

// sessionTimeout is after what time without a heartbeat the group gives the
// partitions of a sink that was killed to others: the age of facts then.
const sessionTimeout = 10 * time.Second

// fetchBytes bounds what each broker has sent and nobody has taken yet. While the
// server is away that much lies in memory for each broker, beside two batches.
const fetchBytes = 8 << 20

// Run brings the server's schema up to date and stores the topics until ctx
// ends, which is its regular end: nil then. What was inserted by then is
// committed; what was not is read again by the successor. An error that no
// retry can mend, a schema that does not fit above all, ends it too.
func Run(ctx context.Context, cfg Config, env Env) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	s := &sink{cfg: cfg, env: env, counts: newCounts()}
	life, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	stopped := context.AfterFunc(ctx, func() { time.AfterFunc(stopWithin, giveUp) })
	defer stopped()
	s.life = life

	announcing, err := announce(ctx, cfg, env)
	if err != nil {
		return err
	}
	defer announcing.stop()
	observed, err := s.counts.observe(env.Meter)
	if err != nil {
		return fmt.Errorf("metrics of the sink: %w", err)
	}
	defer func() { _ = observed.Unregister() }()
	if err := s.open(ctx); err != nil {
		s.close()
		return end(ctx, cfg.Broker.Explain(err))
	}
	defer s.close()
	lagging, err := s.observeLag(env.Meter)
	if err != nil {
		return fmt.Errorf("metrics of the sink: %w", err)
	}
	defer func() { _ = lagging.Unregister() }()
	if env.Ready != nil {
		env.Ready(s.counts.snapshot)
	}
	return end(ctx, cfg.Broker.Explain(s.consume(ctx)))
}

// end is nil for an error that is the end of ctx.
func end(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// A sink is one run.
type sink struct {
	cfg    Config
	env    Env
	life   context.Context // outlives the end of Run's ctx by stopWithin at most
	counts *counts
	asking *kgo.Client // asks the brokers; it is there before the other, which calls back while it is being made
	client *kgo.Client // reads and commits
	server insert.Inserter
	owned  holdings
	guard  *quarantine.Guard
	found  letters

	ids        gap.Topics // as the topics were at the start
	generation uint32
	batch      *batch    // being filled
	due        time.Time // when a batch that is not empty is handed over at the latest
}

// open connects to both sides, makes topics and tables where they are missing,
// and waits for a server that is away.
func (s *sink) open(ctx context.Context) error {
	var err error
	if err = s.prepare(ctx); err != nil {
		return err
	}
	if s.server = s.env.Inserter; s.server == nil {
		if s.server, err = insert.New(s.cfg.ClickHouse); err != nil {
			return err
		}
	}
	return s.join(ctx)
}

// join becomes a member of the group.
func (s *sink) join(ctx context.Context) error {
	s.batch = newBatch(s.generation)
	opts, err := s.cfg.Broker.Options("gpumeter-sink")
	if err != nil {
		return err
	}
	if err := broker.WhenThere(ctx, s.env.Log, func(ctx context.Context) error {
		s.guard, err = quarantine.Start(ctx, quarantine.Config{
			Client: opts, Group: s.cfg.Group, Reader: "storing", Dir: s.cfg.Quarantine, Log: s.env.Log, Before: s.env.Before,
		})
		return err
	}); err != nil {
		return err
	}
	opts = append(append(broker.ConsumerOptions(), kgo.FetchMaxBytes(fetchBytes)), opts...)
	s.client, err = kgo.NewClient(append(opts,
		kgo.ConsumerGroup(s.cfg.Group),
		kgo.SessionTimeout(sessionTimeout),
		kgo.ConsumeTopics(s.batch.topics()...),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		// Nothing is reset without a word: resume judges where a partition is
		// read on, and what is lost while reading is reported as data loss.
		kgo.AdjustFetchOffsetsFn(s.resume),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(), // the server's acknowledgement comes first
		// Transactions end with a record of their own. Seeing it lets the
		// committed offset reach the end of the topic.
		kgo.KeepControlRecords(),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { s.owned.add(p) }),
		kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { s.owned.remove(p) }),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, p map[string][]int32) { s.owned.remove(p) }),
	)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	return nil
}

// prepare makes sure of the topics and the schema and finds the generation.
func (s *sink) prepare(ctx context.Context) error {
	opts, err := s.cfg.Broker.Options("gpumeter-sink-admin")
	if err != nil {
		return err
	}
	if s.asking, err = kgo.NewClient(opts...); err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	if _, err := broker.PrepareWhenThere(ctx, s.asking, s.cfg.Topics, s.cfg.Use(), s.env.Log); err != nil {
		return fmt.Errorf("topics at %v: %w", s.cfg.Broker.Brokers, err)
	}
	var cost string
	if err := broker.WhenThere(ctx, s.env.Log, func(ctx context.Context) (err error) {
		if s.ids, err = gap.Identify(ctx, kadm.NewClient(s.asking), storedTopics()...); err == nil {
			cost, err = costID(ctx, kadm.NewClient(s.asking))
		}
		return err
	}); err != nil {
		return err
	}
	if len(s.ids) < len(storedTopics()) {
		return errors.New("topics vanished while the sink started: are they being deleted? Start it again")
	}
	if s.env.Inserter != nil {
		return nil
	}
	conn, err := clickhouse.Open(s.cfg.ClickHouse)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if err := s.retry(ctx, func(ctx context.Context) error { return s.migrate(ctx, conn) }, nil); err != nil {
		return err
	}
	return s.retry(ctx, func(ctx context.Context) (err error) {
		s.generation, err = generationOf(ctx, conn, cost, s.env.Log)
		return err
	}, nil)
}

func (s *sink) migrate(ctx context.Context, conn driver.Conn) error {
	schema := clickhouse.Migrated
	if s.cfg.Migrate {
		schema = clickhouse.Migrate
	}
	version, err := schema(ctx, conn)
	if err == nil {
		s.env.Log.Info("storing", "schema", version)
	}
	return err
}

func (s *sink) close() {
	if s.guard != nil {
		_ = s.guard.Close() // it says that nothing is being read
	}
	for _, client := range []*kgo.Client{s.client, s.asking} {
		if client != nil {
			client.Close()
		}
	}
	if s.server != nil && s.env.Inserter == nil {
		_ = s.server.Close()
	}
	if s.batch != nil {
		s.batch.close()
	}
}

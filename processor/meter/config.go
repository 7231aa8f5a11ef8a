package meter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
)

// An Engine is what the shell needs of engine.Engine: inputs are sets, Advance
// publishes. Calls come from one goroutine.
type Engine interface {
	AddSamples(*schemas.Samples)
	AddAllocation(*schemas.Allocation)
	AddResource(*schemas.Resource)
	AddPrice(*schemas.Price)
	AddTag(*schemas.Tag)
	Advance(horizon int64, final bool, out engine.Output)
	Behind() []int64     // what the last Advance left for the next ones
	Hold(behind []int64) // of a fresh engine: what its predecessor had left
	Backlog() engine.Backlog
	Settled() bool // an archive as of now can be begun with
	Oldest() int64 // samples before it are in the archive
	Err() error    // of the archive
}

// A Config says where a meter reads and writes, and by which rules.
type Config struct {
	Client   []kgo.Opt     // how to reach the brokers: broker.Config.Options
	Topics   broker.Layout // how topics are made where they are missing; zero = the default
	Group    string        // consumer group; default gpumeter-processor. One ledger, one group
	Instance string        // names this process among those of the group; a successor of the same name ends what its predecessor left open

	Engine    engine.Config                       // the rules; Owns, Reports and ReportPrices are set per partition
	NewEngine func(engine.Config) (Engine, error) // default engine.New
	StateDir  string                              // where archives lie, of this process alone; empty = engines hold all in memory
	Every     time.Duration                       // how long a turn gathers; default 100 ms. A transaction costs the broker 10 to 30 ms
	Records   int                                 // records after which a turn gathers no more; default 1,000
	Timeout   time.Duration                       // after which the broker aborts an open transaction; default 1 min. A replay that publishes all at once needs more
	Tick      <-chan time.Time                    // the owner of partition 0 writes one tick for each value; nil = none, as in a replay
	// MemoryLimit is what the process is to keep to [bytes]; 0 = there is no limit.
	// The runtime is to be told of it (debug.SetMemoryLimit), and Client to have its
	// Buffers.
	MemoryLimit int64
	// Quarantine is the directory of the notes that find a record which kills the
	// process; empty = none are made.
	Quarantine string

	Meter metric.Meter // default: no metrics
	Log   *slog.Logger // default slog.Default()
}

const (
	defaultGroup   = "gpumeter-processor"
	defaultEvery   = 100 * time.Millisecond
	defaultRecords = 1000
	defaultTimeout = time.Minute
)

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	c.Group = cmp.Or(c.Group, defaultGroup)
	c.Every = cmp.Or(c.Every, defaultEvery)
	c.Records = cmp.Or(c.Records, defaultRecords)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.Topics = cmp.Or(c.Topics, broker.DefaultLayout())
	if c.NewEngine == nil {
		c.NewEngine = func(ec engine.Config) (Engine, error) { return engine.New(ec) }
	}
	if c.Meter == nil {
		c.Meter = noop.Meter{}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	switch {
	case len(c.Client) == 0:
		return errors.New("no client options: name the brokers")
	case c.Instance == "":
		return errors.New("instance: empty: two processes of one transactional id end each other's transactions, so each needs a name of its own")
	case c.Every < time.Millisecond || c.Every > 10*time.Second:
		return fmt.Errorf("transaction.every: %v is not from 1ms to 10s: it is the delay of every result", c.Every)
	case c.Records < 1:
		return fmt.Errorf("transaction.records: %d is less than 1", c.Records)
	case c.Timeout < 10*time.Second || c.Timeout > 15*time.Minute:
		return fmt.Errorf("transaction.timeout: %v is not from 10s to 15m: brokers refuse more, and less aborts transactions of a slow disk", c.Timeout)
	case c.MemoryLimit != 0 && c.MemoryLimit < leastLimit:
		return fmt.Errorf("memory.limit: %d is less than %d bytes: buffers take half of that", c.MemoryLimit, leastLimit)
	}
	return c.Topics.Validate()
}

// Use is what a meter does with the brokers.
func (c Config) Use() broker.Use {
	refs := refStreams()
	return broker.Use{
		Reads:  append(refs[:], schemas.StreamSamples, schemas.StreamProcesses, schemas.StreamQuarantine),
		Writes: []string{schemas.StreamTicks, schemas.StreamCost, schemas.StreamActivity, schemas.StreamDeadLetters, schemas.StreamQuarantine},
		Group:  cmp.Or(c.Group, defaultGroup), Transactions: true, Instance: c.Instance,
	}
}

func (c Config) member(adm *kadm.Client) member.Config {
	return member.Config{
		Client: c.Client, Admin: adm, Group: c.Group, Instance: c.Instance, Timeout: c.Timeout,
		Topics: []string{samplesTopic(), processesTopic()}, Of: topicOf,
	}
}

// guard begins to note what one goroutine reads.
func (m *Meter) guard(ctx context.Context, reader string) (*quarantine.Guard, error) {
	g, err := quarantine.Start(ctx, quarantine.Config{
		Client: m.cfg.Client, Group: m.cfg.Group, Reader: reader, Dir: m.cfg.Quarantine, Log: m.cfg.Log, Before: m.before,
	})
	if err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	return g, nil
}

// plainOptions are those of the clients that read whole topics.
func (c Config) plainOptions(more ...kgo.Opt) []kgo.Opt {
	opts := append(broker.ConsumerOptions(), broker.ProducerOptions()...)
	opts = append(opts,
		kgo.KeepControlRecords(), // the offset after a marker counts as read
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)
	return append(append(opts, c.Client...), more...)
}

//go:build synctests

package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
)

// A world is the pipeline in one bubble of virtual time: brokers, processes, and
// what stands in for the fleet and for ClickHouse.
type world struct {
	t     *testing.T
	cfg   config
	began int64 // Unix ms
	log   *slog.Logger

	network *kfake.VirtualNetwork
	fake    *kfake.Cluster
	client  *kgo.Client // of the test's own, never disturbed
	admin   *kadm.Client
	store   *store
	plant   *plant
	posts   []*post
	witness *witness
}

// A config says what is simulated.
type config struct {
	seed       uint64
	nodes      int
	gpus       int           // of a node: 1, 2, 4 or 8
	length     time.Duration // of the fleet
	interval   time.Duration // between two samples of a GPU
	partitions int32
	pace       time.Duration // of ticks, transactions, batches and flushes
	early      time.Duration // between early revisions of a window
	mischief   mischief
	every      time.Duration // between two faults on average, 0 = none
	dir        string        // of the recording
	log        bool          // of all processes, to the test's
}

// grace is after what time windows are final: what is sent in turn needs two turns.
func (c config) grace() time.Duration { return max(2*c.pace, processor.DefaultConfig().Rules.Grace) }

// beginning is when worlds begin: a bubble's clock starts in 2000, and rule 1
// refuses events before 2010.
func beginning() time.Time { return time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC) }

const ports = 9092

// newWorld starts the brokers and makes the topics. It is called in a bubble.
func newWorld(t *testing.T, cfg config) *world {
	t.Helper()
	time.Sleep(time.Until(beginning()))
	w := &world{t: t, cfg: cfg, began: time.Now().UnixMilli(), network: &kfake.VirtualNetwork{}, store: newStore(), witness: newWitness(cfg.grace()), log: slog.New(slog.DiscardHandler)}
	if cfg.log {
		w.log = slog.New(slog.NewTextHandler(logTo{t}, nil))
	}
	var err error
	w.fake, err = kfake.NewCluster(kfake.NumBrokers(3), kfake.Ports(ports, ports+1, ports+2), kfake.ListenFn(w.network.Listen))
	w.must(err)
	w.fake.ControlKey(int16(kmsg.OffsetForLeaderEpoch), w.epochEnd)
	w.watch()
	makes, err := kgo.NewClient(w.options(newCable(w.network))...)
	w.must(err)
	_, err = broker.Ensure(t.Context(), makes, w.layout())
	w.must(err)
	makes.Close() // it has seen the topics missing, and believes so for a while
	w.client, err = kgo.NewClient(append(broker.ProducerOptions(), w.options(newCable(w.network))...)...)
	w.must(err)
	w.admin = kadm.NewClient(w.client)
	w.plant, err = newPlant(cfg, time.Now(), w.store)
	w.must(err)
	return w
}

// epochEnd answers where an epoch of a leader ends. No leader here loses records, so
// all that is there is valid. (The embedded broker answers "nothing is" until a new
// leader has appended something, from which clients conclude that all was lost.)
func (w *world) epochEnd(req kmsg.Request) (kmsg.Response, error, bool) {
	w.fake.KeepControl()
	asked := req.(*kmsg.OffsetForLeaderEpochRequest)
	resp := asked.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
	for _, rt := range asked.Topics {
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			p.Partition, p.LeaderEpoch = rp.Partition, rp.LeaderEpoch
			p.EndOffset = w.fake.PartitionInfo(rt.Topic, rp.Partition).HighWatermark
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp, nil, true
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// logTo writes a log to a test's.
type logTo struct{ t *testing.T }

func (l logTo) Write(line []byte) (int, error) {
	l.t.Logf("%s %s", time.Now().Format("15:04:05.000"), line[:len(line)-1])
	return len(line), nil
}

func (w *world) layout() broker.Layout {
	return broker.Layout{Partitions: w.cfg.partitions, Replication: 1}
}

// brokers is how processes reach the brokers through a cable. Long polls last as
// long as a turn: each that ends for nothing costs the simulation what it costs
// brokers, and virtual time has no latency to lose.
func (w *world) brokers(c *cable) broker.Config {
	return broker.Config{
		Brokers: w.fake.ListenAddrs(),
		More:    []kgo.Opt{c.option(), kgo.FetchMaxWait(w.cfg.pace), kgo.HeartbeatInterval(3 * time.Second), kgo.ConnIdleTimeout(5 * time.Minute)},
	}
}

func (w *world) options(c *cable) []kgo.Opt {
	opts, err := w.brokers(c).Options("simulation")
	w.must(err)
	return opts
}

// Processes at the beginning. A third processor comes and goes.
const (
	collectors = 2
	processors = 2
	sinks      = 2
)

func (w *world) open() {
	for n := range sinks {
		name := fmt.Sprintf("sink-%d", n)
		w.add(name, func(ctx context.Context, c *cable) error { return w.runSink(ctx, c, name) })
	}
	for n := range processors + 1 {
		name := fmt.Sprintf("processor-%d", n)
		w.add(name, func(ctx context.Context, c *cable) error { return w.runProcessor(ctx, c, name) })
	}
	for n := range collectors {
		w.add(fmt.Sprintf("collector-%d", n), func(ctx context.Context, c *cable) error { return w.runCollector(ctx, c, n) })
	}
	for _, p := range w.posts {
		if p.name != fmt.Sprintf("processor-%d", processors) {
			p.start()
		}
	}
}

func (w *world) runProcessor(ctx context.Context, c *cable, name string) error {
	cfg := processor.DefaultConfig()
	cfg.Broker, cfg.Topics, cfg.Instance = w.brokers(c), w.layout(), name
	cfg.Tick.Every, cfg.Transaction.Every, cfg.Transaction.Records = w.cfg.pace, min(w.cfg.pace, 10*time.Second), 100_000
	cfg.Rules.Early.Every, cfg.Rules.Grace = w.cfg.early, w.cfg.grace()
	return processor.Run(ctx, cfg, processor.Env{Log: w.log.With("process", name), Meter: noop.Meter{}})
}

func (w *world) runSink(ctx context.Context, c *cable, name string) error {
	cfg := sink.DefaultConfig()
	cfg.Broker, cfg.Topics, cfg.Flush.Every = w.brokers(c), w.layout(), w.cfg.pace
	cfg.ClickHouse = "clickhouse://nowhere" // the store takes its place
	return sink.Run(ctx, cfg, sink.Env{Log: w.log, Meter: noop.Meter{}, Inserter: session{w.store, c, name}})
}

func (w *world) runCollector(ctx context.Context, c *cable, n int) error {
	cfg := collector.DefaultConfig()
	cfg.Broker, cfg.Topics, cfg.Batch.Wait = w.brokers(c), w.layout(), w.cfg.pace
	cfg.Source.Kind = collector.KindFleet
	f := &feeder{plant: w.plant, line: n, look: w.cfg.pace / 10, stats: make(chan func() publish.Stats, 1)}
	_, err := collector.Run(ctx, cfg, collector.Env{
		Log: w.log, Meter: noop.Meter{}, Now: time.Now, Source: f,
		Ready: func(stats func() publish.Stats) { f.stats <- stats },
	})
	return err
}

// settle waits until what was said is a ledger up to a horizon, which it returns,
// and everything is stored. Faults have ended.
func (w *world) settle() (horizon int64) {
	w.must(w.plant.finish())
	w.await("the collectors to deliver what they have", func() bool { return w.plant.delivered() })
	horizon = time.Now().Add(lead).UnixMilli()
	tick, err := wire.Encode("", []schemas.Tick{{Horizon: horizon, Final: true}})
	w.must(err)
	rec, err := w.client.ProduceSync(w.t.Context(), tick).First()
	w.must(err)
	w.await("the last tick to be applied", func() bool { return w.applied(rec.Offset) })
	w.close("collector")
	w.await("the detectors to catch up", w.detected)
	w.close("processor")
	w.await("the sinks to catch up", w.stored)
	w.close("sink")
	if now := time.Now().UnixMilli(); now > horizon {
		w.t.Fatalf("the ledger was not done within %v", lead)
	}
	return horizon
}

// patience is how long, in virtual time, the pipeline may take after the last fault:
// an open transaction alone may last a quarter of an hour.
const patience = time.Hour

// lead is how far ahead the last horizon is: the tick that names it must be applied
// before the ledger's clock comes there.
const lead = 15 * time.Minute

// await looks once a second until the condition holds.
func (w *world) await(what string, holds func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			w.t.Fatalf("%s progress: waited %v for %s; %s", verdictMark, patience, what, w.failures())
		}
	}
}

func (w *world) failures() (text string) {
	for _, p := range w.posts {
		for _, f := range p.failed {
			text += "\n" + p.name + " ended at " + f
		}
	}
	return text
}

// applied reports whether every partition has committed the tick at offset.
func (w *world) applied(offset int64) bool {
	all, err := w.admin.FetchOffsets(w.t.Context(), processor.DefaultConfig().Group)
	w.must(err)
	done := int32(0)
	for n := range w.cfg.partitions {
		o, ok := all.Lookup(schemas.Prefix+schemas.StreamSamples, n)
		if !ok || o.Metadata == "" {
			return false
		}
		position, err := meter.ParsePosition(o.Metadata)
		w.must(err)
		if position.Applied > offset {
			done++
		}
	}
	return done == w.cfg.partitions
}

// detected reports whether the detectors have committed all activity.
func (w *world) detected() bool {
	topic := schemas.Prefix + schemas.StreamActivity
	ends, err := w.admin.ListCommittedOffsets(w.t.Context(), topic)
	w.must(err)
	all, err := w.admin.FetchOffsets(w.t.Context(), processor.DefaultDetect().Group)
	w.must(err)
	for n, end := range ends[topic] {
		if o, ok := all.Lookup(topic, n); end.Offset > 0 && (!ok || o.At < end.Offset) {
			return false
		}
	}
	return true
}

func (w *world) stored() bool {
	lag, err := sink.Lag(w.t.Context(), w.admin, sink.DefaultConfig().Group)
	w.must(err)
	return lag == 0
}

// read gives the committed rows of a stream, in the order of each partition.
func read[T wire.Row](w *world, stream string) (rows []T) {
	topic := schemas.Prefix + stream
	starts, err := w.admin.ListStartOffsets(w.t.Context(), topic)
	w.must(err)
	ends, err := w.admin.ListEndOffsets(w.t.Context(), topic)
	w.must(err)
	spans := map[int32]member.Span{}
	for n, end := range ends[topic] {
		start, _ := starts.Lookup(topic, n)
		spans[n] = member.Span{From: start.Offset, To: end.Offset}
	}
	w.must(member.Read(w.t.Context(), w.options(newCable(w.network)), topic, spans, func(rec *kgo.Record) error {
		rows, err = wire.Decode(rows, rec)
		return err
	}))
	return rows
}

// close ends all processes of a kind in order.
func (w *world) close(kind string) {
	for _, p := range w.posts {
		if p.kind() == kind {
			p.close()
		}
	}
}

// end ends the brokers. Afterwards nothing of the world runs.
func (w *world) end() {
	w.client.Close()
	w.fake.Close()
}

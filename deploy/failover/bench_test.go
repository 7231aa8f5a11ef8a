package failover

import (
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/deploy/kafka/kafkatest"
	"github.com/gpumeter/gpumeter/processor/detect"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A bench has brokers with the topics, and the workers that were started on it.
type bench struct {
	t       *testing.T
	cluster *kafka.Cluster
	brokers []string
	client  *kgo.Client
	adm     *kadm.Client
	workers []*worker
}

func newBench(t *testing.T, o kafka.Options) *bench {
	t.Helper()
	b := &bench{t: t, cluster: kafkatest.Start(t, o)}
	b.brokers = b.cluster.Addresses(kafka.Plaintext)
	makes := b.newClient()
	if _, err := broker.Ensure(t.Context(), makes, layout()); err != nil {
		t.Fatal(err)
	}
	makes.Close()
	b.client = b.newClient(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	b.adm = kadm.NewClient(b.client)
	return b
}

func (b *bench) newClient(more ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	opts, err := broker.Config{Brokers: b.brokers}.Options("test")
	if err != nil {
		b.t.Fatal(err)
	}
	client, err := kgo.NewClient(append(append(opts, broker.ProducerOptions()...), more...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(client.Close)
	return client
}

// await polls until ok, for what nobody tells by itself.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// collect runs a collector to the end of a directory.
func (b *bench) collect(dir string) {
	b.t.Helper()
	cfg := collector.DefaultConfig()
	cfg.Broker.Brokers, cfg.Topics, cfg.Source.Files.Dir = b.brokers, layout(), dir
	env := collector.Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Now: time.Now}
	if _, err := collector.Run(b.t.Context(), cfg, env); err != nil {
		b.t.Fatal(err)
	}
}

// tick names the horizon and returns the tick's offset.
func (b *bench) tick(horizon int64) int64 {
	b.t.Helper()
	rec, err := wire.Encode("", []schemas.Tick{{Horizon: horizon, Final: true}})
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := b.client.ProduceSync(b.t.Context(), rec).First()
	if err != nil {
		b.t.Fatal(err)
	}
	return out.Offset
}

// settled waits until the tick is committed for every partition.
func (b *bench) settled(tick int64) {
	b.t.Helper()
	await(b.t, "tick "+strconv.FormatInt(tick, 10)+" on every partition", func() bool { return b.applied(tick) })
}

// applied reports whether all partitions have committed the tick.
func (b *bench) applied(tick int64) bool {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	all, err := b.adm.FetchOffsets(ctx, "gpumeter-processor")
	if err != nil {
		return false // no group yet, or its coordinator is away
	}
	for n := range int32(partitions) {
		o, _ := all.Lookup(schemas.Prefix+schemas.StreamSamples, n)
		position, err := meter.ParsePosition(o.Metadata)
		if err != nil || position.Applied <= tick {
			return false
		}
	}
	return true
}

// detected reports whether the detectors have read all activity.
func (b *bench) detected() bool {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	const topic = schemas.Prefix + schemas.StreamActivity
	all, err := b.adm.FetchOffsets(ctx, detect.DefaultGroup)
	if err != nil {
		return false
	}
	ends, err := b.adm.ListEndOffsets(ctx, topic)
	if err != nil || ends.Error() != nil {
		return false
	}
	for n := range int32(partitions) {
		o, committed := all.Lookup(topic, n)
		end, listed := ends.Lookup(topic, n)
		if !listed || end.Offset > 0 && (!committed || o.At < end.Offset) {
			return false
		}
	}
	return true
}

// recoveries is how often a worker made the state of partitions anew, and aborts how
// often it rolled a transaction back, by what they have logged.
func (b *bench) recoveries() (recoveries, aborts int) {
	for _, w := range b.workers {
		recoveries += strings.Count(w.said.String(), "msg=recovered")
		aborts += strings.Count(w.said.String(), `msg="transaction aborted`)
	}
	return recoveries, aborts
}

// generations is how often the groups have agreed on who has what, by what the
// brokers have logged.
func (b *bench) generations() (n int) {
	b.t.Helper()
	for _, node := range b.cluster.Nodes() {
		text, err := os.ReadFile(node.Log())
		if err != nil {
			b.t.Fatal(err)
		}
		n += strings.Count(string(text), "Stabilized group gpumeter-")
	}
	return n
}

func pid(w *worker) string { return strconv.Itoa(w.cmd.Process.Pid) }

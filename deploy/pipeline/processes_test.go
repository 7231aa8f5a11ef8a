package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
)

// TestSeparateProcesses: collector, two processors and a sink as processes of
// their own, against one broker and one engine, make replay's ledger. A processor
// and the sink are killed in the middle, with cells published and input waiting.
func TestSeparateProcesses(t *testing.T) {
	bin, dir := binaries(t), generated(t, 11)
	dsn, conn := engine(t)
	summary := replayed(t, dsn, t.TempDir(), dir)
	want := ledger(t, conn)

	server := start(t, bin, "gpumeter", "serve", "--data", t.TempDir())
	at := server.told()
	f := newFleet(t, bin, at["brokers"], at["clickhouse"])
	one, two, store := f.processor("one"), f.processor("two"), f.sink()

	first, second := halves(t, dir)
	f.collect(first)
	f.settled(f.tick(int64(summary.Horizon)-30*60_000, false)) // cells are published and stored
	f.collect(second)
	f.tick(int64(summary.Horizon)-10*60_000, false)
	one.kill()
	store.kill()
	one, store = f.processor("one"), f.sink()
	f.settled(f.tick(int64(summary.Horizon), true))

	separate, err := clickhouse.Open(at["clickhouse"])
	if err != nil {
		t.Fatal(err)
	}
	defer separate.Close()
	same(t, ledger(t, separate), want)
	for _, p := range []*process{one, two, store, server} {
		p.stop()
	}
}

// A fleet starts processes against one broker and one engine.
type fleet struct {
	t               *testing.T
	bin             string
	brokers, engine string
	client          *kgo.Client
}

func newFleet(t *testing.T, bin, brokers, engine string) *fleet {
	t.Helper()
	opts, err := broker.Config{Brokers: strings.Split(brokers, ",")}.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &fleet{t: t, bin: bin, brokers: brokers, engine: engine, client: client}
}

func (f *fleet) processor(instance string) *process {
	f.t.Helper()
	return start(f.t, f.bin, "gpumeter-processor", "--set", "brokers="+f.brokers, "--set", "instance="+instance,
		"--set", "tick.every=0s", "--set", "state.samples=175200h", "--set", "transaction.timeout=10s")
}

func (f *fleet) sink() *process {
	f.t.Helper()
	return start(f.t, f.bin, "gpumeter-sink", "--set", "brokers="+f.brokers, "--set", "clickhouse="+f.engine)
}

// collect runs a collector to the end of the files.
func (f *fleet) collect(dir string) {
	f.t.Helper()
	start(f.t, f.bin, "gpumeter-collector", "--set", "brokers="+f.brokers, "--set", "source.files.dir="+dir).wait(2 * time.Minute)
}

// tick names the horizon and returns the tick's offset.
func (f *fleet) tick(horizon int64, final bool) int64 {
	f.t.Helper()
	rec, err := wire.Encode("", []schemas.Tick{{Horizon: horizon, Final: final}})
	if err != nil {
		f.t.Fatal(err)
	}
	sent, err := f.client.ProduceSync(f.t.Context(), rec).First()
	if err != nil {
		f.t.Fatal(err)
	}
	return sent.Offset
}

// settled waits until the tick is applied in every partition and what came of
// it is stored.
func (f *fleet) settled(tick int64) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 3*time.Minute)
	defer cancel()
	admin := kadm.NewClient(f.client)
	for {
		behind, err := f.behind(ctx, admin, tick)
		if err != nil {
			f.t.Fatal(err)
		}
		if behind == "" {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			f.t.Fatalf("waited for %s", behind)
		}
	}
}

// behind says what is not done yet, "" when all is.
func (f *fleet) behind(ctx context.Context, admin *kadm.Client, tick int64) (string, error) {
	committed, err := admin.FetchOffsets(ctx, processor.DefaultConfig().Group)
	if err != nil {
		return "", err
	}
	partitions := broker.DefaultLayout().Partitions
	for n := range partitions {
		o, _ := committed.Lookup(schemas.Prefix+schemas.StreamSamples, n)
		position, err := meter.ParsePosition(o.Metadata)
		if o.Metadata == "" || err == nil && position.Applied <= tick {
			return fmt.Sprintf("the processor of partition %d", n), nil
		}
		if err != nil {
			return "", err
		}
	}
	if lag, err := sink.Lag(ctx, admin, sink.DefaultConfig().Group); err != nil || lag > 0 {
		return fmt.Sprintf("the sink, %d records behind", lag), err
	}
	return "", nil
}

// TestReplayCommand runs the binary as a person does.
func TestReplayCommand(t *testing.T) {
	bin, dir, data := binaries(t), write(t, oneHolder()), filepath.Join(t.TempDir(), "ledger")
	run := func(args ...string) string {
		t.Helper()
		p := start(t, bin, "gpumeter", args...)
		text := make(chan string, 1)
		go func() {
			b := make([]byte, 1<<20)
			var all strings.Builder
			for {
				n, err := p.output.Read(b)
				all.Write(b[:n])
				if err != nil {
					text <- all.String()
					return
				}
			}
		}()
		p.wait(time.Minute)
		return <-text
	}
	if out := run("replay", dir, "--data", data, "--set", "idle.epsilon=0.6", "--until", "1780275645000"); !strings.Contains(out, "idle") || !strings.Contains(out, "0.045 USD") {
		t.Errorf("replay:\n%s", out)
	}
	if out := run("query", "--data", data, "--format", "TSV", "SELECT state, gpu_ms FROM gpumeter.cost ORDER BY gpu_ms"); out != "idle\t45000\n" {
		t.Errorf("query: %q", out)
	}
	if out := run("verify", "--data", data, "--input", dir); out == "" {
		t.Error("verify says nothing")
	}
	if kept, err := os.ReadFile(filepath.Join(data, "settings.yaml")); err != nil || !strings.Contains(string(kept), "idle.epsilon: 0.6\n") {
		t.Errorf("settings: %q, %v", kept, err)
	}
}

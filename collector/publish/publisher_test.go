package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const at = 1_780_275_600_000 // 2026-06-01T01:00:00Z

// connect gives a client of a broker in process that has our topics.
func connect(t *testing.T) (*kfake.Cluster, *kgo.Client) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	opts, err := broker.Config{Brokers: c.ListenAddrs()}.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, broker.ProducerOptions()...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if _, err := broker.Ensure(t.Context(), client, broker.Layout{Partitions: 2, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	return c, client
}

func publisher(t *testing.T, client *kgo.Client, cfg Config) *Publisher {
	t.Helper()
	p, err := New(t.Context(), client, cfg, noop.Meter{}, time.UnixMilli(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func sample(node string) *contract.Sample {
	return &contract.Sample{Node: node, TS: at, Series: schemas.Series{GPU: "g0"}}
}

// slow makes batches that are only sent when something but time asks for it.
func slow(rows, buffer int) Config { return Config{Rows: rows, Wait: time.Minute, Buffer: buffer} }

func TestABatchIsSentWhenFull(t *testing.T) {
	_, client := connect(t)
	p := publisher(t, client, slow(3, 100))
	for i := range 7 {
		if err := p.Sample(sample("n1")); err != nil {
			t.Fatal(err)
		}
		if want := (i + 1) % 3; p.held != want {
			t.Errorf("after %d rows %d are held, want %d", i+1, p.held, want)
		}
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats().Streams["samples"]; s.Rows != 7 || s.Acknowledged != 7 || s.Batches != 3 || p.held != 0 {
		t.Errorf("%+v, %d held, want 7 rows in 3 records", s, p.held)
	}
}

func TestABatchIsSentWhenOld(t *testing.T) {
	_, client := connect(t)
	p := publisher(t, client, Config{Rows: 100, Wait: 20 * time.Millisecond, Buffer: 100})
	if err := p.Sample(sample("n1")); err != nil {
		t.Fatal(err)
	}
	if err := p.Tag(schemas.Tag{Match: "user=a", Set: "team=b", From: 1}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for s := p.Stats(); s.Streams["samples"].Acknowledged+s.Streams["tags"].Acknowledged < 2; s = p.Stats() {
		if time.Now().After(deadline) {
			t.Fatalf("%+v, want both rows", s)
		}
		time.Sleep(time.Millisecond)
	}
}

// TestLongRowsAreSentByBytes: a thousand rows of a megabyte do not fit a record.
func TestLongRowsAreSentByBytes(t *testing.T) {
	_, client := connect(t)
	p := publisher(t, client, slow(1000, 1000))
	for range 4 {
		row := schemas.Allocation{TS: at, Event: "start", Allocation: "a", Name: strings.Repeat("x", contract.MaxLine/2)}
		if err := p.Allocation(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats().Streams["allocations"]; s.Acknowledged != 4 || s.Batches != 2 {
		t.Errorf("%+v, want 4 rows in 2 records", s)
	}
}

// TestMemoryIsBounded: more nodes than the buffer has rows for, none of which
// ever has a full batch.
func TestMemoryIsBounded(t *testing.T) {
	_, client := connect(t)
	const buffer = 64
	p := publisher(t, client, slow(64, buffer))
	for i := range 5000 {
		if err := p.Sample(sample(fmt.Sprintf("n%d", i%500))); err != nil {
			t.Fatal(err)
		}
		if p.held >= buffer || len(p.groups) > p.held || len(p.spare) > spares {
			t.Fatalf("%d rows in %d groups are held, %d spares", p.held, len(p.groups), len(p.spare))
		}
	}
	if err := p.Flush(t.Context()); err != nil || p.Stats().Streams["samples"].Acknowledged != 5000 {
		t.Errorf("%+v (%v), want 5000 rows", p.Stats(), err)
	}
}

// TestTheLargestGoFirst: a node that fills the buffer does not tear the small
// batches of the others apart.
func TestTheLargestGoFirst(t *testing.T) {
	_, client := connect(t)
	p := publisher(t, client, slow(20, 20))
	for _, node := range []string{"a", "b", "c"} {
		if err := p.Sample(sample(node)); err != nil {
			t.Fatal(err)
		}
	}
	for range 17 {
		if err := p.Sample(sample("big")); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := p.groups[groupKey{"samples", "big"}]; ok || p.held != 3 {
		t.Errorf("%d rows are held, the largest group among them: %v", p.held, ok)
	}
}

func TestAFailureStaysAFailure(t *testing.T) {
	c, client := connect(t)
	p := publisher(t, client, slow(1, 10))
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		produce := req.(*kmsg.ProduceRequest)
		resp := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range produce.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, part := range t.Partitions {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition, p.ErrorCode = part.Partition, kerr.TopicAuthorizationFailed.Code
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	if err := p.Sample(sample("n1")); err != nil {
		t.Fatal(err)
	}
	if err := p.Flush(t.Context()); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("flush gives %v", err)
	}
	if err := p.Sample(sample("n1")); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("the next row gives %v", err)
	}
	if s := p.Stats().Streams["samples"]; s.Acknowledged != 0 {
		t.Errorf("%+v, want nothing acknowledged", s)
	}
}

func TestKeys(t *testing.T) {
	many := &rows[schemas.Allocation]{}
	many.add("a", schemas.Allocation{Allocation: "a"})
	if many.add("a", schemas.Allocation{Allocation: "a"}); many.key != "a" {
		t.Errorf("two rows of a have the key %q", many.key)
	}
	if many.add("b", schemas.Allocation{Allocation: "b"}); many.key != "" {
		t.Errorf("rows of a and b have the key %q", many.key)
	}
	if many.add("", schemas.Allocation{}); many.key != "" {
		t.Errorf("rows of a, b and nothing have the key %q", many.key)
	}
	price := schemas.Price{Provider: "p", Region: "r", SKU: "s", PricingCategory: "spot"}
	if got := routeOf(&price); got.record != "p/r/s/spot" || got.stream != "prices" || got.event {
		t.Errorf("a price goes to %+v", got)
	}
	process := schemas.Process{Node: "n1", TS: 5}
	if got := routeOf(&process); got.record != "n1" || got.key != "n1" || !got.event || got.ts != 5 {
		t.Errorf("a process goes to %+v", got)
	}
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.Rows = 0 }, "batch.rows"},
		{func(c *Config) { c.Rows, c.Buffer = 1<<20, 1<<21 }, "batch.rows"},
		{func(c *Config) { c.Wait = 0 }, "batch.wait"},
		{func(c *Config) { c.Buffer = c.Rows - 1 }, "batch.buffer"},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		if err := cfg.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", cfg, err, c.want)
		}
	}
}

func TestIgnoredNamesAreBounded(t *testing.T) {
	c := newCounts()
	for i := range 2 * maxFields {
		c.ignored(Field{"samples", fmt.Sprint(i)})
		c.ignored(Field{"samples", "0"})
	}
	s := c.snapshot()
	if len(s.Ignored) != maxFields+1 || s.Ignored[Field{"samples", OtherFields}] != maxFields || s.Ignored[Field{"samples", "0"}] != 2*maxFields+1 {
		t.Errorf("%d names, %d others", len(s.Ignored), s.Ignored[Field{"samples", OtherFields}])
	}
}

func TestMetrics(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	c := newCounts()
	registration, err := c.observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test"))
	if err != nil {
		t.Fatal(err)
	}
	defer registration.Unregister() //nolint:errcheck // the test ends
	c.stream("samples", func(s *StreamStats) { *s = StreamStats{Rows: 4, Acknowledged: 3, Batches: 2, Bytes: 100} })
	c.deadLetter(schemas.ReasonBadJSON)
	c.ignored(Field{"samples", "color"})
	var all metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
			got[m.Name] = p.Value
		}
	}
	want := map[string]int64{
		"gpumeter.collector.rows": 4, "gpumeter.collector.rows.acknowledged": 3, "gpumeter.collector.batches": 2,
		"gpumeter.collector.bytes": 100, "gpumeter.collector.dead_letters": 1, "gpumeter.collector.fields.ignored": 1,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

package meter

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/gpumeter/gpumeter/schemas"
)

// Ticks are written by the owner of partition 0 only, and move every partition
// to the broker's time.
func TestTicksMoveTheHorizon(t *testing.T) {
	c := newCluster(t)
	ticks := []chan time.Time{make(chan time.Time), make(chan time.Time)}
	members := make([]*running, 0, 2)
	for i, name := range []string{"a", "b"} {
		cfg := c.config(name)
		cfg.Tick = ticks[i]
		members = append(members, start(t, cfg))
	}
	await(t, "both to own some", func() bool {
		return len(members[0].Progress()) == testPartitions/2 && len(members[1].Progress()) == testPartitions/2
	})
	now := time.Now().UnixMilli()
	c.produce(samplesAt("node-1", "g", now-120_000))
	for _, tick := range ticks {
		tick <- time.Time{}
		tick <- time.Time{} // taken once the first is written
	}
	await(t, "a cell", func() bool { return len(c.published()) == 1 })
	for k, v := range c.published() {
		if v.samples != 1 || v.finality != schemas.FinalityFinal || k.window > now-120_000 {
			t.Errorf("cell %v: %+v", k, v)
		}
	}
	if n := len(c.readAll(schemas.StreamTicks)); n > 2 {
		t.Errorf("%d ticks were written by two members", n)
	}
}

// A replay's tick is a barrier: with samples still unread, nothing is published.
func TestBarrierWaitsForAllInputs(t *testing.T) {
	c, s := newCluster(t), newStory(40, 2)
	c.publish(&s.chapters[0])
	c.publish(&s.chapters[1])
	tick := rows(c, schemas.Tick{Horizon: s.horizon, Final: true})
	cfg := c.config("a")
	cfg.Records = 1 // one record a turn: the tick is seen long before the samples are read
	m := start(t, cfg)
	c.settled(tick)
	c.check(s)
	// Had it been applied early, later samples would have restated cells.
	if n := m.Summary().Cells; n != int64(len(s.cells(t))) {
		t.Errorf("%d cells published, %d in the ledger", n, len(s.cells(t)))
	}
}

// A partition that catches up goes by the time of what it has read: no window
// becomes final of which samples are unread, although the ticks are long ahead.
func TestCatchingUpClosesNothingEarly(t *testing.T) {
	c := newCluster(t)
	began := time.Now().UnixMilli()
	for range 30 {
		c.produce(samplesAt("node-1", "g", time.Now().UnixMilli()))
		time.Sleep(10 * time.Millisecond) // the broker's clock has to pass some windows
	}
	rows(c, schemas.Tick{})
	cfg := c.config("a")
	cfg.Engine.Window, cfg.Engine.Grace = 50, 50
	cfg.Records = 1
	start(t, cfg)
	await(t, "all samples", func() bool {
		read := int64(0)
		for _, v := range c.published() {
			read += v.samples
		}
		return read == 30
	})
	closed := 0
	for k, all := range c.revisions() {
		for i, v := range all {
			if v.finality != schemas.FinalityFinal {
				continue
			}
			if closed++; i != len(all)-1 {
				t.Errorf("window %d ms after the beginning was final at %d samples, then restated: %v", k.window-began, v.samples, all)
			}
		}
	}
	if closed == 0 {
		t.Error("no window was closed: the test proves nothing")
	}
}

func TestCommittedOffsetsBeyondTheLog(t *testing.T) {
	for _, what := range []string{"samples", "references", "metadata"} {
		t.Run(what, func(t *testing.T) {
			c := newCluster(t)
			o := kadm.Offset{Topic: samplesTopic(), Partition: 1, At: 0, LeaderEpoch: -1}
			want := ""
			switch what {
			case "samples":
				o.At, o.Metadata, want = 7, Position{}.String(), "gpumeter.samples partition 1: it ends at offset 0, but group gpumeter-processor has read to 7"
			case "references":
				o.Metadata, want = Position{Refs: Refs{refPrices: 3}}.String(), "gpumeter.prices partition 0: it ends at offset 0"
			case "metadata":
				o.Metadata, want = "somebody else", "another program has committed"
			}
			offsets := kadm.Offsets{}
			offsets.Add(o)
			if err := c.adm.CommitAllOffsets(t.Context(), defaultGroup, offsets); err != nil {
				t.Fatal(err)
			}
			if err := start(t, c.config("a")).failed(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// Samples that expired after they were read are no error, and no gap.
func TestRetention(t *testing.T) {
	c, s := newCluster(t), newStory(41, 2)
	m := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 60_000)
	m.stop()
	partition := c.produce(samplesAt("node-1", "g", t0)).Partition
	c.expire(schemas.StreamSamples, partition, c.positions()[partition].offset)
	m = start(t, c.config("a"))
	await(t, "recovery", func() bool { return len(m.Progress()) == testPartitions })
	m.stop()
	if told := c.gapLetters(); len(told) > 0 {
		t.Errorf("told of %+v", told)
	}
}

// A group whose metadata somebody has reset publishes its ledger again, from all
// that the topics hold.
func TestOffsetsWithoutMetadata(t *testing.T) {
	c, s := newCluster(t), newStory(42, 1)
	c.publish(&s.chapters[0])
	offsets := kadm.Offsets{}
	for n, end := range stableEnds(t, c.adm, samplesTopic())[samplesTopic()] {
		offsets.Add(kadm.Offset{Topic: samplesTopic(), Partition: n, At: end.Offset, LeaderEpoch: -1})
	}
	if err := c.adm.CommitAllOffsets(t.Context(), defaultGroup, offsets); err != nil {
		t.Fatal(err)
	}
	start(t, c.config("a"))
	c.finish(s.horizon)
	c.check(s)
}

func TestMetrics(t *testing.T) {
	c, s := newCluster(t), newStory(43, 1)
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	cfg := c.config("a")
	cfg.Meter = provider.Meter("test")
	start(t, cfg)
	c.publish(&s.chapters[0])
	c.put(&kgo.Record{Topic: schemas.Prefix + schemas.StreamTags, Value: []byte("?")}, nil)
	rows(c, schemas.Tick{})
	c.finish(s.horizon)
	// The lag is shown after the commit that the tick was awaited by.
	for _, name := range []string{"rows", "cells", "cost_rows", "transactions", "aborts", "dead_letters", "recoveries", "recovery_time", "horizon_lag", "backlog"} {
		await(t, "metric "+name, func() bool { return collected(t, reader)["gpumeter.processor."+name] })
	}
}

// collected are the names of the metrics that have a value.
func collected(t *testing.T, reader metric.Reader) map[string]bool {
	t.Helper()
	var got metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &got); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, scope := range got.ScopeMetrics {
		for _, m := range scope.Metrics {
			names[m.Name] = true
		}
	}
	return names
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{Client: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, Instance: "a", NewEngine: newLedger}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"client":              func(c *Config) { c.Client = nil },
		"instance":            func(c *Config) { c.Instance = "" },
		"transaction.every":   func(c *Config) { c.Every = time.Minute },
		"transaction.records": func(c *Config) { c.Records = -1 },
		"transaction.timeout": func(c *Config) { c.Timeout = time.Hour },
		"partitions":          func(c *Config) { c.Topics.Partitions = -1 },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

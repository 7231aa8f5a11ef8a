package property

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/contract"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// An absence is a broker that can be away: then it closes every connection that
// asks it for something.
type absence struct {
	cluster *kfake.Cluster
	away    atomic.Bool
}

func newAbsence(t *testing.T) *absence {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	a := &absence{cluster: c}
	c.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if a.away.Load() {
			return nil, errors.New("away"), true
		}
		return nil, nil, false
	})
	return a
}

// aFleet is ten minutes of two nodes, in some seconds.
func aFleet() fleet.Config {
	cfg := fleet.DefaultConfig()
	cfg.Seed, cfg.GPUs, cfg.Speed, cfg.Duration = 7, 16, 100, 10*time.Minute
	cfg.Start = time.UnixMilli(now).Add(-24 * time.Hour)
	return cfg
}

// collecting runs a collector of a fleet until it ends or is stopped.
type collecting struct {
	stats func() publish.Stats
	stop  context.CancelFunc
	done  chan error
	final publish.Stats
}

func (a *absence) collect(t *testing.T, f fleet.Config, spool string) *collecting {
	t.Helper()
	cfg := collector.DefaultConfig()
	cfg.Broker.Brokers, cfg.Topics.Partitions = a.cluster.ListenAddrs(), 2
	cfg.Source.Kind, cfg.Source.Fleet = collector.KindFleet, f
	cfg.Batch.Wait = 20 * time.Millisecond
	cfg.Spool.Disk.Dir, cfg.Spool.After = spool, 200*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	c := &collecting{stop: stop, done: make(chan error, 1)}
	ready := make(chan func() publish.Stats, 1)
	go func() {
		var err error
		c.final, err = collector.Run(ctx, cfg, collector.Env{
			Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Now: time.Now,
			Ready: func(stats func() publish.Stats) { ready <- stats },
		})
		c.done <- err
	}()
	select {
	case c.stats = <-ready:
	case err := <-c.done:
		t.Fatal(err)
	}
	return c
}

// await waits until the counts of samples are as wanted.
func (c *collecting) await(t *testing.T, what string, ok func(publish.StreamStats) bool) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !ok(c.stats().Streams[schemas.StreamSamples]) {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited for %s: %+v", what, c.stats().Streams)
		}
	}
}

// end waits for the regular end.
func (c *collecting) end(t *testing.T) publish.Stats {
	t.Helper()
	if err := <-c.done; err != nil {
		t.Fatal(err)
	}
	return c.final
}

// events reads what is in Kafka, as the processor gets it.
func (a *absence) events(t *testing.T) input {
	t.Helper()
	opts, err := broker.Config{Brokers: a.cluster.ListenAddrs()}.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	var topics []string
	for _, s := range []string{schemas.StreamSamples, schemas.StreamProcesses, schemas.StreamAllocations, schemas.StreamResources, schemas.StreamPrices, schemas.StreamTags} {
		topics = append(topics, schemas.Prefix+s)
	}
	client, err := kgo.NewClient(append(opts, kgo.ConsumeTopics(topics...))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topics...)
	if err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	in := input{first: now}
	var decoder wire.SampleDecoder
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for _, rec := range fetches.Records() {
			left--
			if err := in.record(&decoder, rec); err != nil {
				t.Fatal(err)
			}
		}
	}
	return in
}

// record takes the events of one record.
func (in *input) record(d *wire.SampleDecoder, rec *kgo.Record) error {
	switch rec.Topic {
	case schemas.Prefix + schemas.StreamSamples:
		var s schemas.Samples
		if err := d.Decode(&s, rec); err != nil {
			return err
		}
		for i := range s.TS {
			in.add(contract.Sample{
				Node: s.Node, Series: s.Series[s.Index[i]], TS: s.TS[i], Utilization: s.Utilization[i], SMActive: s.SMActive[i],
				TensorActive: s.TensorActive[i], DRAMActive: s.DRAMActive[i], MemoryUsed: s.MemoryUsed[i], Power: s.Power[i],
				Energy: s.Energy[i], Temperature: s.Temperature[i],
			}, s.TS[i])
		}
		return nil
	case schemas.Prefix + schemas.StreamProcesses:
		return decoded(rec, func(r schemas.Process) { in.add(nil, r.TS) })
	case schemas.Prefix + schemas.StreamAllocations:
		return decoded(rec, func(r schemas.Allocation) { in.add(r, r.TS) })
	case schemas.Prefix + schemas.StreamResources:
		return decoded(rec, func(r schemas.Resource) { in.events = append(in.events, r) })
	case schemas.Prefix + schemas.StreamPrices:
		return decoded(rec, func(r schemas.Price) { in.events = append(in.events, r) })
	default:
		return decoded(rec, func(r schemas.Tag) { in.events = append(in.events, r) })
	}
}

func decoded[T wire.Row](rec *kgo.Record, each func(T)) error {
	rows, err := wire.Decode([]T(nil), rec)
	for _, r := range rows {
		each(r)
	}
	return err
}

// The input is a sink: what a fleet says when nothing is in the way.
func (in *input) Sample(s *contract.Sample) error       { in.add(*s, s.TS); return nil }
func (in *input) Process(r schemas.Process) error       { in.add(nil, r.TS); return nil }
func (in *input) Allocation(r schemas.Allocation) error { in.add(r, r.TS); return nil }
func (in *input) Resource(r schemas.Resource) error     { in.events = append(in.events, r); return nil }

func (in *input) Price(r schemas.Price) error { in.events = append(in.events, r); return nil }

func (in *input) Tag(r schemas.Tag) error                    { in.events = append(in.events, r); return nil }
func (in *input) DeadLetter(letter schemas.DeadLetter) error { return errors.New(letter.Detail) }

// undisturbed is what the fleet says, without a collector.
func undisturbed(t *testing.T, cfg fleet.Config) input {
	t.Helper()
	f, err := fleet.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	in := input{first: now}
	if err := f.Step(cfg.Start.Add(cfg.Duration).UnixMilli(), &in); err != nil {
		t.Fatal(err)
	}
	return in
}

// ledgerAt gives the rows of the engine at a horizon.
func ledgerAt(t *testing.T, in input, horizon int64) []oracle.Row {
	t.Helper()
	in.horizon = horizon
	rows, err := delivery{steps: 3, batch: 100, engines: 1, window: 60_000, epsilon: 10_000}.run(in)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestAnOutageLeavesNoTrace: brokers that are away for minutes of a fleet's time.
// The ledger is that of a fleet that nothing disturbed, row by row.
func TestAnOutageLeavesNoTrace(t *testing.T) {
	a, cfg := newAbsence(t), aFleet()
	c := a.collect(t, cfg, filepath.Join(t.TempDir(), "spool"))
	c.await(t, "a minute", func(s publish.StreamStats) bool { return s.Acknowledged > 60*16 })
	a.away.Store(true)
	c.await(t, "five minutes in the spool", func(s publish.StreamStats) bool { return s.Spooled > 300*16 })
	a.away.Store(false)
	s := c.end(t).Streams[schemas.StreamSamples]
	if s.Spooled != 0 || s.Dropped != 0 || s.Damaged != 0 || s.Acknowledged != s.Rows {
		t.Errorf("%+v", s)
	}
	want := undisturbed(t, cfg)
	horizon := cfg.Start.Add(cfg.Duration).UnixMilli()
	got, truth := ledgerAt(t, a.events(t), horizon), ledgerAt(t, want, horizon)
	if len(truth) < 16*10 || len(got) != len(truth) {
		t.Fatalf("%d rows, undisturbed %d", len(got), len(truth))
	}
	for i := range truth {
		if !reflect.DeepEqual(got[i], truth[i]) {
			t.Fatalf("row %d\ngot  %+v\nwant %+v", i, got[i], truth[i])
		}
	}
	t.Logf("%d samples, %d rows of the ledger", s.Rows, len(truth))
}

// times sums the milliseconds of each GPU by state.
func times(rows []oracle.Row) map[string]map[oracle.State]int64 {
	sums := map[string]map[oracle.State]int64{}
	for _, r := range rows {
		gpu := r.Node + "/" + r.GPU
		if sums[gpu] == nil {
			sums[gpu] = map[oracle.State]int64{}
		}
		sums[gpu][r.State] += r.GPUMs
	}
	return sums
}

// TestWhatTheSpoolLosesIsUnknown: the brokers are away until the end, the disk
// loses a part of the samples in the spool, the next run sends the rest. What is
// gone is counted to the row; its time is unknown, and no GPU is idle for longer
// than the last sample before the gap and the first one after it speak for.
func TestWhatTheSpoolLosesIsUnknown(t *testing.T) {
	a, cfg, dir := newAbsence(t), aFleet(), filepath.Join(t.TempDir(), "spool")
	want := undisturbed(t, cfg)
	all := int64(distinct(want))
	first := a.collect(t, cfg, dir)
	first.await(t, "a minute", func(s publish.StreamStats) bool { return s.Acknowledged > 60*16 })
	a.away.Store(true)
	first.await(t, "the end", func(s publish.StreamStats) bool { return s.Rows >= all })
	first.stop()
	kept := first.end(t).Streams[schemas.StreamSamples]
	files, err := filepath.Glob(filepath.Join(dir, "samples.*.spool"))
	if err != nil || len(files) != 1 || kept.Spooled == 0 {
		t.Fatalf("%v (%v), %+v", files, err, kept)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	clear(text[len(text)/3 : 2*len(text)/3])
	if err := os.WriteFile(files[0], text, 0o600); err != nil {
		t.Fatal(err)
	}
	a.away.Store(false)
	short := cfg
	short.Duration = time.Second // the same events again, which count once
	second := a.collect(t, short, dir).end(t).Streams[schemas.StreamSamples]

	got := a.events(t)
	lost := int64(distinct(want) - distinct(got))
	if lost < 1000 || second.Spooled != 0 || second.Damaged != lost {
		t.Errorf("%d samples are gone, the collector says %+v", lost, second)
	}
	horizon := cfg.Start.Add(cfg.Duration).UnixMilli()
	truth, now := times(ledgerAt(t, want, horizon)), times(ledgerAt(t, got, horizon))
	const reach = 2 * 3000 // ms: three intervals, on both sides of a gap
	for gpu, was := range truth {
		is := now[gpu]
		idle := is[oracle.Idle] + is[oracle.IdleHeld] - was[oracle.Idle] - was[oracle.IdleHeld]
		if unknown := is[oracle.Unknown] - was[oracle.Unknown]; unknown < 60_000 || idle > reach {
			t.Errorf("%s: %d ms more unknown, %d ms more idle\ngot  %v\nwant %v", gpu, unknown, idle, is, was)
		}
	}
	t.Logf("%d samples are gone", lost)
}

// distinct counts samples, each once.
func distinct(in input) int {
	seen := map[contract.Sample]bool{}
	for _, e := range in.events {
		if s, ok := e.(contract.Sample); ok {
			seen[s] = true
		}
	}
	return len(seen)
}

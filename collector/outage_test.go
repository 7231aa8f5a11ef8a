package collector_test

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// fleetConfig is a small live fleet with a spool.
func fleetConfig(t *testing.T, address string) collector.Config {
	t.Helper()
	cfg := collector.DefaultConfig()
	cfg.Broker = broker.Config{Brokers: []string{address}}
	cfg.Topics.Partitions = 2
	cfg.Source.Kind, cfg.Source.Fleet.GPUs = collector.KindFleet, 8
	cfg.Batch.Wait = 20 * time.Millisecond
	cfg.Spool.Disk.Dir, cfg.Spool.After = filepath.Join(t.TempDir(), "spool"), 100*time.Millisecond
	return cfg
}

// nobody is an address where a broker may be later.
func nobody(t *testing.T) (address string, port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String(), l.Addr().(*net.TCPAddr).Port
}

// await polls until a condition holds.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-deadline:
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// segments counts the files of a stream in a spool.
func segments(t *testing.T, cfg collector.Config, stream string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cfg.Spool.Disk.Dir, stream+".*.spool"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

// TestBrokersThatAreNeverThere: the collector collects from its start on, stops
// well, refuses a second one, and the next run sends everything.
func TestBrokersThatAreNeverThere(t *testing.T) {
	address, port := nobody(t)
	cfg := fleetConfig(t, address)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	type end struct {
		stats publish.Stats
		err   error
	}
	ended := make(chan end, 1)
	run := func(ctx context.Context, env collector.Env) {
		stats, err := collector.Run(ctx, cfg, env)
		ended <- end{stats, err}
	}
	go run(ctx, environment())
	await(t, "samples on the disk", func() bool { return segments(t, cfg, schemas.StreamSamples) > 0 })
	if _, err := collector.Run(t.Context(), cfg, environment()); err == nil || !strings.Contains(err.Error(), "give each collector a spool.dir of its own") {
		t.Errorf("a second collector on the directory gets %v", err)
	}
	began := time.Now()
	stop()
	first := <-ended
	if first.err != nil || time.Since(began) > 10*time.Second {
		t.Fatalf("stopped after %v with %v", time.Since(began), first.err)
	}
	kept := int64(0)
	for stream, c := range first.stats.Streams {
		if c.Rows == 0 || c.Spooled != c.Rows || c.Acknowledged != 0 {
			t.Errorf("%s: %+v, want everything in the spool", stream, c)
		}
		kept += c.Spooled
	}

	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	again, stopAgain := context.WithCancel(t.Context())
	defer stopAgain()
	ready := make(chan func() publish.Stats, 1)
	env := environment()
	env.Ready = func(stats func() publish.Stats) { ready <- stats }
	go run(again, env)
	stats := <-ready
	await(t, "everything to be acknowledged", func() bool {
		sum := int64(0)
		for _, c := range stats().Streams {
			sum += c.Spooled
		}
		return sum == 0
	})
	stopAgain()
	second := <-ended
	if second.err != nil {
		t.Fatal(second.err)
	}
	carried := int64(0)
	for stream, c := range second.stats.Streams {
		if c.Acknowledged != c.Rows+c.Carried {
			t.Errorf("%s: %+v, want everything acknowledged", stream, c)
		}
		carried += c.Carried
	}
	if carried != kept || segments(t, cfg, "*") != 0 {
		t.Errorf("%d rows were kept, %d carried, %d files are left", kept, carried, segments(t, cfg, "*"))
	}
	k := kafka{c, cfg.Broker}
	arrived := 0
	for _, batch := range k.samples(t) {
		arrived += len(batch)
	}
	if s := second.stats.Streams[schemas.StreamSamples]; int64(arrived) != s.Acknowledged {
		t.Errorf("%d samples in Kafka, %+v", arrived, s)
	}
}

// TestBrokersThatComeLater: a run that began without them goes on with them.
func TestBrokersThatComeLater(t *testing.T) {
	address, port := nobody(t)
	cfg := fleetConfig(t, address)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ready, ended := make(chan func() publish.Stats, 1), make(chan error, 1)
	env := environment()
	env.Ready = func(stats func() publish.Stats) { ready <- stats }
	go func() {
		_, err := collector.Run(ctx, cfg, env)
		ended <- err
	}()
	await(t, "samples on the disk", func() bool { return segments(t, cfg, schemas.StreamSamples) > 0 })
	select {
	case <-ready:
		t.Error("ready without brokers")
	default:
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stats := <-ready
	await(t, "everything to be acknowledged", func() bool {
		s := stats().Streams[schemas.StreamSamples]
		return s.Acknowledged > 0 && s.Acknowledged == s.Rows
	})
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

func TestFilesHaveNoSpool(t *testing.T) {
	cfg := config(newKafka(t), t.TempDir())
	cfg.Spool.Disk.Dir = t.TempDir()
	if err := cfg.Validate(); err == nil || !strings.Contains(fmt.Sprint(err), "spool.dir: source.kind files has no use for it") {
		t.Errorf("error is %v", err)
	}
}

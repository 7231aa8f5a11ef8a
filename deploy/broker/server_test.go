package broker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/schemas/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

func client(t *testing.T, s *Server, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	base, err := broker.Config{Brokers: s.Addresses()}.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(base, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// A stop in order keeps topics with their settings, records with their time, and what groups have committed with its metadata.
func TestDirectoryKeepsEverythingOverAStop(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	dir := t.TempDir()
	s := start(t, Options{Dir: dir})
	cl := client(t, s)
	if _, err := broker.Ensure(ctx, cl, broker.Layout{Partitions: 3, Replication: -1}); err != nil {
		t.Fatal(err)
	}
	sent := &kgo.Record{Topic: "gpumeter.samples", Key: []byte("n1"), Value: []byte("v")}
	if err := cl.ProduceSync(ctx, sent).FirstErr(); err != nil {
		t.Fatal(err)
	}
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: sent.Topic, Partition: sent.Partition, At: 1, LeaderEpoch: -1, Metadata: "position"})
	if err := kadm.NewClient(cl).CommitAllOffsets(ctx, "g", offsets); err != nil {
		t.Fatal(err)
	}
	cl.Close()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}

	again := start(t, Options{Dir: dir})
	if again.Killed() {
		t.Error("a stop in order looks like a kill")
	}
	cl = client(t, again, kgo.ConsumeTopics(sent.Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if n, err := broker.Ensure(ctx, cl, broker.DefaultLayout()); err != nil || n != 3 {
		t.Errorf("topics after the stop: %d partitions, %v", n, err)
	}
	got := cl.PollFetches(ctx).Records()
	if len(got) != 1 || string(got[0].Value) != "v" || !got[0].Timestamp.Equal(sent.Timestamp.Truncate(time.Millisecond)) {
		t.Errorf("records after the stop: %d, the first %+v", len(got), got[0])
	}
	kept, err := kadm.NewClient(cl).FetchOffsets(ctx, "g")
	if o, _ := kept.Lookup(sent.Topic, sent.Partition); err != nil || o.At != 1 || o.Metadata != "position" {
		t.Errorf("commit after the stop: %+v, %v", o, err)
	}
}

func TestSecondBrokerOnADirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	start(t, Options{Dir: dir})
	if _, err := Start(Options{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("%v", err)
	}
}

func TestKillIsNoticed(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "running"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a stop in order afterwards mends nothing
		s := start(t, Options{Dir: dir})
		if !s.Killed() {
			t.Error("not noticed")
		}
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:9092", ":9092", "example.com:9092", "127.0.0.1", "127.0.0.1:x"} {
		if s, err := Start(Options{Listen: address}); err == nil {
			t.Errorf("%s: accepted", address)
			_ = s.Stop()
		}
	}
	s := start(t, Options{Listen: "localhost:0"})
	if !strings.HasPrefix(s.String(), "127.0.0.1:") {
		t.Error(s.String())
	}
}

func TestTopicsAreNotMadeByAskingForThem(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl := client(t, start(t, Options{}), kgo.UnknownTopicRetries(0))
	err := cl.ProduceSync(ctx, &kgo.Record{Topic: "gpumeter.sample", Value: []byte("v")}).FirstErr()
	if !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("%v", err)
	}
}

func TestLargestRecordIsAccepted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cl := client(t, start(t, Options{}), broker.ProducerOptions()...)
	if _, err := broker.Ensure(ctx, cl, broker.Layout{Partitions: 1, Replication: -1}); err != nil {
		t.Fatal(err)
	}
	for size, want := range map[int]error{broker.MaxRecordBytes - 1024: nil, broker.MaxRecordBytes + 1: kerr.MessageTooLarge} {
		err := cl.ProduceSync(ctx, &kgo.Record{Topic: "gpumeter.samples", Value: make([]byte, size)}).FirstErr()
		if !errors.Is(err, want) {
			t.Errorf("%d bytes: %v, want %v", size, err, want)
		}
	}
}

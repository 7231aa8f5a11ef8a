package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/service"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRefusedConfigurations(t *testing.T) {
	for _, run := range []struct {
		name string
		args []string
		says string
	}{
		{"nothing told", nil, "name at least one as host:port"},
		{"unknown key", []string{"--set", "transaction.evry=1s"}, `did you mean "transaction.every"`},
		{"rules", []string{"--set", "brokers=localhost:1", "--set", "idle.epsilon=2"}, "idle.epsilon: 2 is not from 0 to 1"},
		{"shell", []string{"--set", "brokers=localhost:1", "--set", "http.listen=", "--set", "transaction.every=1h"}, "transaction.every: 1h0m0s is not from 1ms to 10s"},
	} {
		t.Run(run.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := service.Main(command(), run.args, &stderr); code != 1 || !strings.Contains(stderr.String(), run.says) {
				t.Errorf("exit code %d, want 1 and %q in\n%s", code, run.says, stderr.String())
			}
		})
	}
}

// The command makes the topics, meters what is there, and stops when it is told
// to.
func TestCommandMeters(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	client := prepare(t, fake)
	defer client.Close()
	rec, err := wire.Encode("", []schemas.Tick{{Horizon: 1_780_275_600_000, Final: true}})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	cmd := command()
	var stderr bytes.Buffer
	cmd.SetErr(&stderr)
	cmd.SetArgs([]string{
		"--set", "http.listen=127.0.0.1:0", "--set", "brokers=" + strings.Join(fake.ListenAddrs(), ","), "--set", "replication=1",
		"--set", "instance=p", "--set", "tick.every=0s", "--set", "transaction.every=20ms",
	})
	done := make(chan error, 1)
	go func() { done <- cmd.ExecuteContext(ctx) }()
	deadline := time.After(20 * time.Second)
	for !applied(t, client) {
		select {
		case err := <-done:
			t.Fatalf("ended with %v\n%s", err, stderr.String())
		case <-deadline:
			t.Fatal("the tick was never applied")
		case <-time.After(10 * time.Millisecond):
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("stopped with %v\n%s", err, stderr.String())
	}
}

// prepare makes the topics, and a client that has never seen them missing.
func prepare(t *testing.T, fake *kfake.Cluster) *kgo.Client {
	t.Helper()
	opts, err := broker.Config{Brokers: fake.ListenAddrs()}.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	makes, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer makes.Close()
	if _, err := broker.Ensure(t.Context(), makes, broker.Layout{Partitions: 2, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// applied reports whether both partitions have committed the tick.
func applied(t *testing.T, client *kgo.Client) bool {
	t.Helper()
	all, err := kadm.NewClient(client).FetchOffsets(t.Context(), "gpumeter-processor")
	if err != nil {
		return false // no group yet
	}
	for n := range int32(2) {
		o, ok := all.Lookup(schemas.Prefix+schemas.StreamSamples, n)
		if !ok {
			return false
		}
		p, err := meter.ParsePosition(o.Metadata)
		if err != nil {
			t.Fatal(err)
		}
		if p.Applied != 1 || !p.Final {
			return false
		}
	}
	return true
}

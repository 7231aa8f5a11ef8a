package collector

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// TestStopWithoutBrokerFails: what was read cannot be acknowledged, so the stop
// must not look like a good one, and must not take for ever.
func TestStopWithoutBrokerFails(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "samples.ndjson"), []byte(`{"ts":1780275600000,"node":"n1","gpu":"g0"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Broker.Brokers, cfg.Source.Files.Dir, cfg.Source.Files.Follow = c.ListenAddrs(), dir, true
	opts, err := cfg.Broker.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(opts, broker.ProducerOptions()...)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := broker.Ensure(t.Context(), client, cfg.Topics); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		stop() // the brokers are asked, and never answer
		c.SleepControl(func() { <-t.Context().Done() })
		return nil, nil, false
	})
	env := Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Now: time.Now, Ready: func(func() publish.Stats) {}}
	stats, err := publishSource(ctx, cfg, env, client, 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "not acknowledged") && !strings.Contains(err.Error(), "publish 1 rows") {
		t.Errorf("error is %v, want that a row is not acknowledged", err)
	}
	if s := stats.Streams["samples"]; s.Rows != 1 || s.Acknowledged != 0 {
		t.Errorf("%+v, want one row that is not acknowledged", s)
	}
}

package kafka_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
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
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

const password = "not-a-secret"

// written is a file with that text, as an editor leaves it.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// saslConfig is how a user comes in.
func saslConfig(t *testing.T, c *kafka.Cluster, mechanism string) broker.Config {
	t.Helper()
	return broker.Config{
		Brokers: c.Addresses(kafka.SASLSSL), TLS: broker.TLS{CA: c.Authority().CA()},
		SASL: broker.SASL{Mechanism: mechanism, User: "gpumeter", PasswordFile: written(t, password)},
	}
}

// mutualConfig is how the holder of a certificate comes in.
func mutualConfig(t *testing.T, c *kafka.Cluster) broker.Config {
	t.Helper()
	cert, key, err := c.Authority().Client("gpumeter")
	if err != nil {
		t.Fatal(err)
	}
	return broker.Config{Brokers: c.Addresses(kafka.SSL), TLS: broker.TLS{CA: c.Authority().CA(), Cert: cert, Key: key}}
}

// The ways in, and who does not find one.
func TestSecurity(t *testing.T) {
	c := kafkatest.Start(t, kafka.Options{Security: &kafka.Security{Users: []kafka.User{{Name: "gpumeter", Password: password}}}})
	t.Run("stages come in", func(t *testing.T) { stagesComeIn(t, c) })
	t.Run("strangers are told why", func(t *testing.T) { strangersAreToldWhy(t, c) })
}

// stagesComeIn: collector, processor and a consumer with the sink's options work over
// every way in.
func stagesComeIn(t *testing.T, c *kafka.Cluster) {
	for i, way := range []struct {
		name string
		conf broker.Config
	}{
		{broker.ScramSHA256, saslConfig(t, c, broker.ScramSHA256)},
		{broker.ScramSHA512, saslConfig(t, c, broker.ScramSHA512)},
		{broker.Plain, saslConfig(t, c, broker.Plain)},
		{"mutual TLS", mutualConfig(t, c)},
	} {
		t.Run(way.name, func(t *testing.T) { works(t, way.conf, int64(i)) })
	}
}

// works runs the stages once: a sample comes out as a cost, in a transaction.
func works(t *testing.T, conf broker.Config, n int64) {
	at := 1_780_275_600_000 + n*3_600_000
	dir := t.TempDir()
	for name, text := range map[string]string{
		"samples.ndjson":   `{"ts":` + strconv.FormatInt(at+10_000, 10) + `,"node":"n","gpu":"g","utilization":0.5}`,
		"resources.ndjson": `{"node":"n","resource":"r","provider":"p","gpus":["g"],"from":1780275600000}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	cc := collector.DefaultConfig()
	cc.Broker, cc.Source.Files.Dir = conf, dir
	if _, err := collector.Run(within(t), cc, collector.Env{Log: log, Meter: noop.Meter{}, Now: time.Now}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	pc := processor.DefaultConfig()
	pc.Broker, pc.Instance, pc.Tick.Every = conf, "p", 0
	done := make(chan error, 1)
	go func() { done <- processor.Run(ctx, pc, processor.Env{Log: log, Meter: noop.Meter{}}) }()

	cl := client(t, conf, append(broker.ConsumerOptions(), kgo.ConsumerGroup("reader-"+strconv.FormatInt(n, 10)), kgo.ConsumeTopics("gpumeter.cost"))...)
	rec, err := wire.Encode("", []schemas.Tick{{Horizon: at + 60_000, Final: true}})
	if err != nil {
		t.Fatal(err)
	}
	tick, err := cl.ProduceSync(within(t), rec).First()
	if err != nil {
		t.Fatal(err)
	}
	for waiting := within(t); len(cl.PollFetches(waiting).Records()) == 0; {
		if waiting.Err() != nil {
			t.Fatal("nothing comes out")
		}
	}
	await(t, "the tick", func() bool { return applied(t, cl, tick.Offset) })
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// await polls until ok, for what nobody tells by itself.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
	}
}

// applied reports whether every partition has committed the tick.
func applied(t *testing.T, cl *kgo.Client, tick int64) bool {
	t.Helper()
	all, err := kadm.NewClient(cl).FetchOffsets(within(t), processor.DefaultConfig().Group)
	if err != nil {
		return false
	}
	for n := range broker.DefaultLayout().Partitions {
		o, _ := all.Lookup("gpumeter.samples", n)
		if position, err := meter.ParsePosition(o.Metadata); err != nil || position.Applied <= tick {
			return false
		}
	}
	return true
}

// strangersAreToldWhy: who is not let in learns the reason.
func strangersAreToldWhy(t *testing.T, c *kafka.Cluster) {
	stranger, err := kafka.NewAuthority(filepath.Join(t.TempDir(), "stranger"))
	if err != nil {
		t.Fatal(err)
	}
	certificate := func(by *kafka.Authority, until time.Duration) broker.TLS {
		t.Helper()
		cert, key, err := by.ClientUntil("somebody", time.Now().Add(until))
		if err != nil {
			t.Fatal(err)
		}
		return broker.TLS{CA: c.Authority().CA(), Cert: cert, Key: key}
	}
	for _, way := range []struct {
		name   string
		change func(*broker.Config)
		mutual bool
		says   string
	}{
		{"wrong password", func(b *broker.Config) { b.SASL.PasswordFile = written(t, "guess") }, false, "SASL_AUTHENTICATION_FAILED"},
		{"wrong password, plain", func(b *broker.Config) {
			b.SASL.Mechanism, b.SASL.PasswordFile = broker.Plain, written(t, "guess")
		}, false, "SASL_AUTHENTICATION_FAILED"},
		{"unknown user", func(b *broker.Config) { b.SASL.User = "nobody" }, false, "SASL_AUTHENTICATION_FAILED"},
		{"unknown authority", func(b *broker.Config) { b.TLS.CA = stranger.CA() }, false, "certificate signed by unknown authority"},
		{"name that is not in the certificate", func(b *broker.Config) { b.TLS.ServerName = "kafka.example" }, false, "not kafka.example"},
		{"no certificate", func(b *broker.Config) { b.TLS.Cert, b.TLS.Key = "", "" }, true, "certificate"},
		{"certificate of another authority", func(b *broker.Config) { b.TLS = certificate(stranger, time.Hour) }, true, "unknown"},
		{"certificate that has expired", func(b *broker.Config) { b.TLS = certificate(c.Authority(), -time.Hour) }, true, "certificate"},
		{"no tls", func(b *broker.Config) { b.TLS = broker.TLS{} }, false, "tls"},
	} {
		t.Run(way.name, func(t *testing.T) {
			conf := saslConfig(t, c, broker.ScramSHA256)
			if way.mutual {
				conf = mutualConfig(t, c)
			}
			way.change(&conf)
			_, err := broker.Ensure(within(t), client(t, conf), broker.DefaultLayout())
			if err == nil || !strings.Contains(err.Error(), way.says) {
				t.Errorf("%v does not say %q", err, way.says)
			}
		})
	}
}

package broker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster starts a broker in process and a client of it.
func cluster(t *testing.T) *kgo.Client {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return client(t, broker.Config{Brokers: c.ListenAddrs()})
}

func client(t *testing.T, cfg broker.Config) *kgo.Client {
	t.Helper()
	opts, err := cfg.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(append(append(opts, broker.ProducerOptions()...), broker.ConsumerOptions()...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// settings are those of a topic of that retention as Ensure makes it.
func settings(retention string) map[string]*string {
	s := func(v string) *string { return &v }
	return map[string]*string{
		"message.timestamp.type": s("LogAppendTime"), "cleanup.policy": s("delete"), "retention.ms": s(retention),
		"retention.bytes": s("-1"), "max.message.bytes": s("4194304"),
	}
}

const days45 = "3888000000"

func TestEnsureMakesWhatIsMissing(t *testing.T) {
	cl, ctx := cluster(t), within(t)
	for run := range 2 { // the second time everything is there and fits
		n, err := broker.Ensure(ctx, cl, broker.Layout{Partitions: 3, Replication: 1})
		if err != nil || n != 3 {
			t.Fatalf("run %d: %d partitions (%v), want 3", run, n, err)
		}
	}
	topics, err := kadm.NewClient(cl).ListTopics(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range schemas.Streams() {
		want := 1
		if s.Partitioned {
			want = 3
		}
		if got := len(topics[s.Topic()].Partitions); got != want {
			t.Errorf("%s has %d partitions, want %d", s.Topic(), got, want)
		}
	}
	rec := &kgo.Record{Topic: schemas.Prefix + schemas.StreamTicks, Value: []byte("x"), Timestamp: time.Unix(1, 0)}
	if err := cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestEnsureTakesTheBrokersReplication(t *testing.T) {
	if n, err := broker.Ensure(within(t), cluster(t), broker.DefaultLayout()); err != nil || n != 8 {
		t.Errorf("%d partitions (%v), want 8", n, err)
	}
}

// TestEnsureJudgesWhatIsThere makes one or two topics beforehand.
func TestEnsureJudgesWhatIsThere(t *testing.T) {
	const samples, processes, ticks, prices = "gpumeter.samples", "gpumeter.processes", "gpumeter.ticks", "gpumeter.prices"
	for _, c := range []struct {
		name, topic, retention string
		partitions             int32
		setting, value         string // changed from what Ensure makes
		want                   []string
	}{
		{"equal", samples, days45, 8, "", "", nil},
		{"other partitions", samples, days45, 5, "", "", nil}, // what is there wins
		{"longer retention", samples, "9999999999", 8, "", "", nil},
		{"no end of retention", samples, "-1", 8, "", "", nil},
		{"larger messages", samples, days45, 8, "max.message.bytes", "16777216", nil},
		{
			"shorter retention", samples, days45, 8, "retention.ms", "604800000",
			[]string{samples, "retention.ms is 604800000, must be at least 3888000000", "--add-config retention.ms=3888000000"},
		},
		{
			"an end of retention where there must be none", prices, "-1", 1, "retention.ms", "604800000",
			[]string{prices, "must be -1 (no limit)", "--add-config retention.ms=-1"},
		},
		{
			"bounded size", samples, days45, 8, "retention.bytes", "1000000",
			[]string{samples, "retention.bytes is 1000000, must be -1 (no limit)"},
		},
		{
			"compacted", samples, days45, 8, "cleanup.policy", "compact",
			[]string{samples, "cleanup.policy is compact, must be delete", "kafka-configs.sh"},
		},
		{
			"the producer's time", samples, days45, 8, "message.timestamp.type", "CreateTime",
			[]string{samples, "message.timestamp.type is CreateTime, must be LogAppendTime", "kafka-configs.sh"},
		},
		{
			"small messages", samples, days45, 8, "max.message.bytes", "1048588",
			[]string{samples, "max.message.bytes is 1048588, must be at least 4194304"},
		},
		{
			"a single stream with partitions", ticks, "86400000", 3, "", "",
			[]string{ticks, "partitions is 3, must be 1", "kafka-topics.sh"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl, ctx := cluster(t), within(t)
			conf := settings(c.retention)
			if c.setting != "" {
				conf[c.setting] = &c.value
			}
			if _, err := kadm.NewClient(cl).CreateTopic(ctx, c.partitions, 1, conf, c.topic); err != nil {
				t.Fatal(err)
			}
			n, err := broker.Ensure(ctx, cl, broker.DefaultLayout())
			if c.want == nil && (err != nil || n != c.partitions) {
				t.Fatalf("%d partitions (%v), want %d", n, err, c.partitions)
			}
			for _, part := range c.want {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("error %v does not say %q", err, part)
				}
			}
		})
	}
	t.Run("partitioned topics disagree", func(t *testing.T) {
		cl, ctx := cluster(t), within(t)
		adm := kadm.NewClient(cl)
		for topic, n := range map[string]int32{samples: 4, processes: 6} {
			if _, err := adm.CreateTopic(ctx, n, 1, settings(days45), topic); err != nil {
				t.Fatal(err)
			}
		}
		_, err := broker.Ensure(ctx, cl, broker.DefaultLayout())
		if err == nil || !strings.Contains(err.Error(), "topic gpumeter.processes: partitions is 6, must be 4 as gpumeter.samples has") {
			t.Errorf("error is %v", err)
		}
	})
}

// TestEnsureFromSeveralAtOnce is every stage starting on an empty broker.
func TestEnsureFromSeveralAtOnce(t *testing.T) {
	cl, ctx := cluster(t), within(t)
	results := make(chan error)
	for range 4 {
		go func() {
			_, err := broker.Ensure(ctx, cl, broker.DefaultLayout())
			results <- err
		}()
	}
	for range 4 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestLargestRecordPasses(t *testing.T) {
	cl, ctx := cluster(t), within(t)
	if _, err := broker.Ensure(ctx, cl, broker.DefaultLayout()); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, broker.MaxRecordBytes-1024)
	topic := schemas.Prefix + schemas.StreamSamples
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: value}).FirstErr(); err != nil {
		t.Error(err)
	}
	err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: make([]byte, broker.MaxRecordBytes)}).FirstErr()
	if broker.Classify(err) != broker.DeadLetter {
		t.Errorf("a record over the limit gives %v", err)
	}
}

func TestSASL(t *testing.T) {
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	wrong := filepath.Join(dir, "wrong")
	write(t, password, []byte("s3cret\n"))
	write(t, wrong, []byte("guess\n"))
	serverTLS, ca := certificate(t, dir)
	for _, mechanism := range []string{broker.Plain, broker.ScramSHA256, broker.ScramSHA512} {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.Superuser(mechanism, "meter", "s3cret"), kfake.TLS(serverTLS))
		if err != nil {
			t.Fatal(err)
		}
		cfg := broker.Config{
			Brokers: c.ListenAddrs(), TLS: broker.TLS{CA: ca},
			SASL: broker.SASL{Mechanism: mechanism, User: "meter", PasswordFile: password},
		}
		good := client(t, cfg)
		if _, err := broker.Ensure(within(t), good, broker.DefaultLayout()); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		cfg.SASL.PasswordFile = wrong
		bad := client(t, cfg)
		if _, err := broker.Ensure(within(t), bad, broker.DefaultLayout()); err == nil {
			t.Errorf("%s: a wrong password is let in", mechanism)
		}
		good.Close()
		bad.Close()
		c.Close()
	}
}

// certificate makes an authority that signs itself for 127.0.0.1.
func certificate(t *testing.T, dir string) (server *tls.Config, ca string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(dir, "ca.pem")
	write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, ca
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

package compose

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/deploy/rights"
	"github.com/gpumeter/gpumeter/deploy/run"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/service"
	"github.com/gpumeter/gpumeter/sink"
)

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/deploy.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The settings that docs/deploy.md shows are settings, and right together.
func TestDocumentedSettingsLoad(t *testing.T) {
	shown := regexp.MustCompile("(?s)```yaml\n# (\\w+)\n(.*?)```").FindAllStringSubmatch(document(t), -1)
	seen := map[string]bool{}
	for _, block := range shown {
		seen[block[1]] = true
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "clickhouse_writer"), []byte("password"), 0o600); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, "config.yaml")
		if err := os.WriteFile(file, []byte(strings.ReplaceAll(block[2], "/run/secrets", dir)), 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		switch block[1] {
		case "collector":
			c := config[collector.Config]{service.DefaultConfig(0), collector.DefaultConfig()}
			err = service.Load(&c, service.Sources{File: file})
		case "kafka": // of every service; asked of the one that needs nothing else
			c := config[processor.Config]{service.DefaultConfig(0), processor.DefaultConfig()}
			err = service.Load(&c, service.Sources{File: file})
		case "sink":
			c := config[sink.Config]{service.DefaultConfig(0), sink.DefaultConfig()}
			err = service.Load(&c, service.Sources{File: file})
		default:
			err = errors.New("of no service")
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", block[1], err, block[2])
		}
	}
	if len(seen) != 3 {
		t.Errorf("settings of %v are shown, want kafka, sink and collector", seen)
	}
}

// Ports and versions in the document are those of the files.
func TestDocumentedPortsArePublished(t *testing.T) {
	table := regexp.MustCompile(`(?m)^\| ([0-9, ]+) \|`).FindAllStringSubmatch(document(t), -1)
	var shown, published []string
	for _, row := range table {
		shown = append(shown, strings.Split(row[1], ", ")...)
	}
	for _, s := range load(t, "compose.yaml").Services {
		for _, p := range s.Ports {
			published = append(published, p.Published)
		}
	}
	slices.Sort(shown)
	slices.Sort(published)
	if !slices.Equal(shown, published) {
		t.Errorf("shown %q, published %q", shown, published)
	}
}

// printedACLs are those of all components, as gpumeter topics --acls prints them,
// where the document sends one.
func printedACLs(t *testing.T) []kfake.ACL {
	t.Helper()
	if !strings.Contains(document(t), "`gpumeter topics --acls`") || !strings.Contains(document(t), "`gpumeter migrate --users`") {
		t.Error("the document does not say how rights are printed")
	}
	var all []kfake.ACL
	for _, c := range rights.Components() {
		for _, r := range c.Rights {
			pattern := kmsg.ACLResourcePatternTypeLiteral
			if r.Prefixed {
				pattern = kmsg.ACLResourcePatternTypePrefixed
			}
			all = append(all, kfake.ACL{Resource: r.Resource, Name: r.Name, Pattern: pattern, Operation: r.Operation, Allow: true})
		}
	}
	return all
}

// kafka is a broker that lets gpumeter do what acls allow.
func kafka(t *testing.T, acls []kfake.ACL) broker.Config {
	t.Helper()
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(), kfake.EnableACLs(),
		kfake.Superuser(broker.ScramSHA512, "admin", "other"), kfake.User(broker.ScramSHA512, "gpumeter", "s3cret", acls...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return broker.Config{Brokers: cluster.ListenAddrs(), SASL: broker.SASL{Mechanism: broker.ScramSHA512, User: "gpumeter", PasswordFile: password}}
}

// input is one GPU for three minutes.
func input(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"resources.ndjson": `{"node":"n","resource":"r","provider":"p","gpus":["g"],"from":"2026-01-01T00:00:00Z","to":"2026-01-01T00:03:00Z","scheduler":true}`,
		"samples.ndjson":   `{"ts":"2026-01-01T00:01:00Z","node":"n","gpu":"g","utilization":0.5}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// publish runs a collector over the input.
func publish(t *testing.T, at broker.Config) error {
	t.Helper()
	c := collector.DefaultConfig()
	c.Broker, c.Topics.Partitions, c.Source.Files.Dir = at, 2, input(t)
	_, err := collector.Run(t.Context(), c, collector.Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Now: time.Now})
	return err
}

// migrated makes the tables as the service migrate does.
func migrated(t *testing.T, dsn string) {
	t.Helper()
	conn, err := clickhouse.Open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := clickhouse.Migrate(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
}

// The rights that the document names are enough for the three stages, with a
// password, from an input to rows that Grafana's user sees; without any of them
// the first stage does not come through.
func TestDocumentedRightsAreEnough(t *testing.T) {
	acls := printedACLs(t)
	if err := publish(t, kafka(t, nil)); err == nil {
		t.Error("the broker asks for no rights")
	}
	at, dsn := kafka(t, acls), server(t)
	if err := publish(t, at); err != nil {
		t.Fatal(err)
	}
	ctx, fail := context.WithCancelCause(t.Context())
	defer fail(nil)
	p, s := processor.DefaultConfig(), sink.DefaultConfig()
	p.Broker, p.Topics.Partitions = at, 2
	s.Broker, s.Topics.Partitions, s.ClickHouse, s.Migrate = at, 2, dsn("gpumeter_writer", "writer"), false
	migrated(t, dsn("gpumeter_migrator", "migrator"))
	quiet := slog.New(slog.DiscardHandler)
	stages := []*run.Stage{
		run.Launch(ctx, "processor", fail, func(ctx context.Context) error {
			return processor.Run(ctx, p, processor.Env{Log: quiet, Meter: noop.Meter{}})
		}),
		run.Launch(ctx, "sink", fail, func(ctx context.Context) error {
			return sink.Run(ctx, s, sink.Env{Log: quiet, Meter: noop.Meter{}})
		}),
	}
	conn, err := clickhouse.Open(dsn("grafana", "grafana"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	waiting, giveUp := context.WithTimeout(ctx, time.Minute)
	defer giveUp()
	if err := run.Await(waiting, func(ctx context.Context) (bool, error) {
		var ms int64
		err := conn.QueryRow(ctx, "SELECT sum(gpu_ms) FROM gpumeter.cost").Scan(&ms)
		return err == nil && ms == 3*time.Minute.Milliseconds(), nil // the sink makes the view
	}); err != nil {
		t.Error(errors.Join(err, context.Cause(ctx)))
	}
	for _, stage := range stages {
		if err := stage.Stop(); err != nil {
			t.Error(err)
		}
	}
}

package stack

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/deploy/broker"
	"github.com/gpumeter/gpumeter/deploy/chdb"
	kafka "github.com/gpumeter/gpumeter/schemas/broker"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, c Config) *Stack {
	t.Helper()
	s, err := Open(t.Context(), c, quiet())
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// While one stack is open, others find its engine, cannot open it twice, and can
// start it again when it is closed.
func TestEngineIsSharedWhileOpenAndStartedWhenNot(t *testing.T) {
	c := DefaultConfig()
	c.Data = filepath.Join(t.TempDir(), "new", "ledger")
	s := open(t, c)
	found, done, err := Engine(t.Context(), c, quiet())
	if err != nil || found.ClickHouse != s.ClickHouse || found.HTTP != s.HTTP {
		t.Fatalf("%+v, %v", found, err)
	}
	if err := done(); err != nil { // is not this one's to close
		t.Error(err)
	}
	if _, err := Open(t.Context(), c, quiet()); err == nil || !strings.Contains(err.Error(), "is open in process") {
		t.Errorf("opened twice: %v", err)
	}
	if n, err := s.Topics(t.Context(), kafka.Layout{Partitions: 2, Replication: -1}); err != nil || n != 2 {
		t.Errorf("topics: %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	started, done, err := Engine(t.Context(), c, quiet())
	if err != nil || started.HTTP == "" {
		t.Fatalf("%+v, %v", started, err)
	}
	if err := done(); err != nil {
		t.Error(err)
	}
}

// A stack whose broker cannot start leaves no engine behind.
func TestHalfAStackIsClosed(t *testing.T) {
	c := DefaultConfig()
	c.Data = t.TempDir()
	held, err := broker.Start(broker.Options{Dir: BrokerDir(c.Data)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), c, quiet())
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if !errors.Is(err, broker.ErrInUse) {
		t.Errorf("%v", err)
	}
	if err := held.Stop(); err != nil {
		t.Fatal(err)
	}
	open(t, c)
}

func TestConfig(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   string // in the error, "" = none
	}{
		"nothing":         {func(*Config) {}, "--data"},
		"data":            {func(c *Config) { c.Data = "d" }, ""},
		"servers":         {func(c *Config) { c.Broker.Brokers, c.ClickHouse = []string{"k:9092"}, "http://c:8123" }, ""},
		"only brokers":    {func(c *Config) { c.Broker.Brokers = []string{"k:9092"} }, "--data"},
		"only ClickHouse": {func(c *Config) { c.ClickHouse = "http://c:8123" }, "--data"},
		"bad brokers":     {func(c *Config) { c.Data, c.Broker.Brokers = "d", []string{""} }, "brokers"},
		"no partitions":   {func(c *Config) { c.Data, c.Topics.Partitions = "d", 0 }, "partitions"},
	} {
		c := DefaultConfig()
		test.change(&c)
		err := c.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestURLNeedsHTTP(t *testing.T) {
	c := Config{ClickHouse: "clickhouse://me@host:9000"}
	s, _, err := Engine(t.Context(), c, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.URL(); !errors.Is(err, ErrNoHTTP) {
		t.Errorf("%v", err)
	}
	c.ClickHouse = "http://me@host:8123"
	s, _, err = Engine(t.Context(), c, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if u, err := s.URL(); err != nil || u.Host != "host:8123" {
		t.Errorf("%v, %v", u, err)
	}
}

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/replay"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	code := m.Run()
	if err := shared.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// shared is one engine, and one set of binaries, for the tests of this package,
// which run one after the other: both take seconds to make.
var shared sharedEngine

type sharedEngine struct {
	once   sync.Once
	dir    string
	server *chdb.Server
	err    error

	build    sync.Once
	bin      string // directory of the built commands
	buildErr error
}

func (s *sharedEngine) start() {
	if s.dir, s.err = os.MkdirTemp("", "gpumeter-pipeline-"); s.err == nil {
		s.server, s.err = chdb.Start(context.Background(), chdb.Options{Dir: s.dir, Log: slog.New(slog.DiscardHandler)})
	}
}

func (s *sharedEngine) stop() error {
	var err error
	if s.server != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = s.server.Stop(ctx)
	}
	return errors.Join(err, os.RemoveAll(s.dir), os.RemoveAll(s.bin))
}

// engine is the shared engine without a ledger in it.
func engine(t *testing.T) (dsn string, conn driver.Conn) {
	t.Helper()
	shared.once.Do(shared.start)
	if errors.Is(shared.err, chdb.ErrUnavailable) {
		t.Skip(shared.err)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	conn, err := clickhouse.Open(shared.server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.Exec(t.Context(), "DROP DATABASE IF EXISTS gpumeter SYNC"); err != nil {
		t.Fatal(err)
	}
	return shared.server.DSN(), conn
}

// replayed runs dir into the engine, with a broker of its own under data.
func replayed(t *testing.T, dsn, data, dir string, change ...func(*replay.Config)) *replay.Summary {
	t.Helper()
	cfg := replay.DefaultConfig()
	cfg.Stack.Data, cfg.Stack.ClickHouse = data, dsn
	for _, c := range change {
		c(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	summary, err := replay.Run(ctx, cfg, dir, replay.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	return summary
}

// sharedDir is the directory of inputs that lies beside the checkout, "" where
// there is none.
func sharedDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("GPUMETER_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return dir
}

// rows asks one text column.
func rows(t *testing.T, conn driver.Conn, sql string) []string {
	t.Helper()
	result, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	defer result.Close()
	var all []string
	for result.Next() {
		var row string
		if err := result.Scan(&row); err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	if err := result.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// ledger is every row of cost, without what is outside row-by-row comparison.
func ledger(t *testing.T, conn driver.Conn) []string {
	t.Helper()
	return rows(t, conn, `SELECT toJSONString(tuple(* EXCEPT (revision, known_at, first_reported_at))) AS row FROM gpumeter.cost ORDER BY row`)
}

// same holds two ledgers to each other and shows the first rows that differ.
func same(t *testing.T, got, want []string) {
	t.Helper()
	if len(want) == 0 {
		t.Fatal("the ledger to compare with is empty")
	}
	shown := 0
	for _, list := range []struct {
		title     string
		have, not []string
	}{{"missing", want, got}, {"unexpected", got, want}} {
		for _, row := range list.have {
			if _, found := slices.BinarySearch(list.not, row); !found && shown < 6 {
				t.Errorf("%s %s", list.title, row)
				shown++
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
}

// write makes the files of an input directory.
func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.TrimLeft(text, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

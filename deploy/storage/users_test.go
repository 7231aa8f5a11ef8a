package storage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// guarded is an embedded engine with the users of package clickhouse.
func guarded(t *testing.T) (dsn func(user string) string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "config.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, u := range clickhouse.Users() {
		hash := sha256.Sum256([]byte(u.Name))
		text := u.XML(hex.EncodeToString(hash[:]))
		if err := os.WriteFile(filepath.Join(dir, "config.d", u.Name+".xml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	engine, err := chdb.Start(t.Context(), chdb.Options{Dir: dir})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := engine.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	at, err := url.Parse(engine.DSN())
	if err != nil {
		t.Fatal(err)
	}
	return func(user string) string {
		if user == "default" {
			return engine.DSN()
		}
		return "clickhouse://" + user + ":" + user + "@" + at.Host
	}
}

// asking runs queries as users; the query migrate migrates.
func asking(t *testing.T, dsn func(string) string) func(user, query string) error {
	return func(user, query string) error {
		conn, err := clickhouse.Open(dsn(user))
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if query == "migrate" {
			_, err := clickhouse.Migrate(t.Context(), conn)
			return err
		}
		return conn.Exec(t.Context(), query)
	}
}

// TestUsersDoTheirWorkAndNothingElse: what is refused is refused for lack of a
// right, not for a mistake in the query.
func TestUsersDoTheirWorkAndNothingElse(t *testing.T) {
	const (
		writer, migrator, reader, local = clickhouse.UserWriter, clickhouse.UserMigrator, clickhouse.UserReader, "default"

		works    = 0
		denied   = 497 // ACCESS_DENIED
		readonly = 164
		bounded  = 452 // SETTING_CONSTRAINT_VIOLATION
		tooMany  = 396 // TOO_MANY_ROWS_OR_BYTES
	)
	tag := "INSERT INTO gpumeter.tags_log (`match`, `set`, effective_from, effective_to, priority, appended_at) VALUES ('user=a', 'team=b', 0, 0, 0, 0)"
	const cell = "INSERT INTO gpumeter.cells (node, finality, version) VALUES ('n', 'final', 1)"
	as := asking(t, guarded(t))
	type step struct {
		who, query string
		want       int32
	}
	steps := []step{
		{migrator, "migrate", works},
		{migrator, "migrate", works},
		{writer, tag, works},
		{writer, cell, works},
		{writer, "SELECT max(version) FROM gpumeter.migrations", works},
		{writer, "SELECT topic_id, max(generation) FROM gpumeter.generations GROUP BY topic_id", works},
		{reader, "SELECT throwIf(count() != 1) FROM gpumeter.cells_history", works}, // the view has filled it
		{reader, "SELECT count() FROM gpumeter.cost", works},
		{reader, "SELECT count() FROM gpumeter.findings SETTINGS max_execution_time = 5", works},
		{reader, "SELECT * FROM numbers(3)", works},

		{writer, "SELECT * FROM gpumeter.tags", denied},
		{writer, "SELECT * FROM gpumeter.allocations_log", denied},
		{writer, "SELECT * FROM gpumeter.cost_history", denied},
		{writer, "INSERT INTO gpumeter.migrations (version, name) VALUES (9, 'x')", denied},
		{writer, "DROP TABLE gpumeter.cells", denied},
		{writer, "TRUNCATE TABLE gpumeter.cells", denied},
		{writer, "ALTER TABLE gpumeter.cells DELETE WHERE 1", denied},
		{writer, "CREATE TABLE gpumeter.x (a UInt8) ENGINE = Memory", denied},
		{migrator, tag, denied},
		{migrator, "DROP TABLE gpumeter.cells", denied},
		{migrator, "CREATE DATABASE other", denied},
		{migrator, "CREATE TABLE gpumeter.x (a String) ENGINE = URL('http://127.0.0.1:1/', 'CSV')", denied},
		{reader, tag, denied},
		{reader, "DROP VIEW gpumeter.tags", denied},
		{reader, "CREATE TEMPORARY TABLE x (a UInt8)", denied},
		{reader, "SELECT 1 SETTINGS max_memory_usage = 40000000000", bounded},
		{reader, "SELECT 1 SETTINGS max_execution_time = 0", bounded}, // no limit at all
		{reader, "SELECT 1 SETTINGS max_result_rows = 0", bounded},
		{reader, "SELECT 1 SETTINGS readonly = 0", readonly},
		{reader, "SELECT * FROM numbers(1000001)", tooMany},
		{reader, "SELECT * FROM system.users", denied},
		{reader, "SELECT * FROM system.processes", denied},
		{reader, "SELECT * FROM system.disks", denied},
		{reader, "SELECT * FROM executable('x', 'CSV', 'a String')", denied},
	}
	for _, who := range []string{writer, migrator, reader, local} {
		for _, source := range []string{
			"url('http://127.0.0.1:1/', 'CSV', 'a String')", "file('/etc/hosts', 'LineAsString')", "remote('127.0.0.1:1', 'system.one')",
			"s3('http://127.0.0.1:1/bucket/key', 'CSV', 'a String')", "mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
		} {
			steps = append(steps, step{who, "SELECT * FROM " + source, denied})
		}
	}
	for _, query := range []string{
		"SYSTEM SHUTDOWN", "CREATE FUNCTION f AS x -> x", "CREATE TABLE x (a String) ENGINE = URL('http://127.0.0.1:1/', 'CSV')",
		"CREATE TABLE x (a String) ENGINE = File(CSV, '/etc/hosts')", "BACKUP DATABASE gpumeter TO File('/x')",
	} {
		steps = append(steps, step{local, query, denied})
	}
	for _, s := range steps {
		err := as(s.who, s.query)
		if got := code(err); got != s.want {
			t.Errorf("%s: %s: %v, want code %d", s.who, s.query, err, s.want)
		}
	}
}

// code is that of a server's exception: 0 for none, -1 for another error.
func code(err error) int32 {
	var exception *driver.Exception
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exception):
		return exception.Code
	}
	return -1
}

// TestSinkStoresAsTheWriter: what gpumeter migrate has made, a sink fills as a user
// that can do nothing else, and a reader sees it.
func TestSinkStoresAsTheWriter(t *testing.T) {
	dsn := guarded(t)
	as := asking(t, dsn)
	conn := connect(t, dsn(clickhouse.UserWriter))
	if _, err := clickhouse.Migrated(t.Context(), conn); !errors.Is(err, clickhouse.ErrOlder) {
		t.Errorf("without tables: %v", err)
	}
	if err := as(clickhouse.UserMigrator, "migrate"); err != nil {
		t.Fatal(err)
	}
	if version, err := clickhouse.Migrated(t.Context(), conn); err != nil || version == 0 {
		t.Errorf("version %d, %v", version, err)
	}
	p := newPipe(t)
	p.publish(kgo.TryCommit, encode(p, schemas.Tag{Match: "user=a", Set: "team=b"}), encode(p, schemas.DeadLetter{Stream: "tags", Place: "x", Reason: schemas.ReasonBadRow}))
	p.run(dsn(clickhouse.UserWriter), "writers")
	for _, view := range []string{"tags", "dead_letters"} {
		if err := as(clickhouse.UserReader, "SELECT throwIf(count() != 1) FROM gpumeter."+view); err != nil {
			t.Errorf("%s: %v", view, err)
		}
	}
}

package clickhouse

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// A migration is one file: statements that may run twice, and at the same time
// in two processes, without harm. That, and not a lock, which ClickHouse does
// not have, is what makes several sinks that start at once safe.
type migration struct {
	version    uint32
	name       string
	statements []string
}

// migrations lists the embedded files in order.
func migrations() ([]migration, error) {
	files, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list the migrations: %w", err)
	}
	var out []migration
	for _, file := range files { // Glob sorts
		text, err := migrationFiles.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", file, err)
		}
		m := migration{name: strings.TrimPrefix(file, "migrations/")}
		if _, err := fmt.Sscanf(m.name, "%04d_", &m.version); err != nil || m.version != uint32(len(out)+1) {
			return nil, fmt.Errorf("migration %s is not number %d", file, len(out)+1)
		}
		m.statements = statements(string(text))
		out = append(out, m)
	}
	return out, nil
}

// statements cuts a file at the semicolons that end a line.
func statements(text string) []string {
	var out []string
	for part := range strings.SplitSeq(text, ";\n") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// ErrNewer is wrapped when the database was migrated by a newer program.
var ErrNewer = errors.New("the database is newer than this program; run a newer gpumeter")

// Migrate brings the ledger's tables and views to this program's version and
// returns it. It is safe to run from several processes at once and again after
// a crash. A database from a newer program is left alone: ErrNewer.
func Migrate(ctx context.Context, conn driver.Conn) (version uint32, err error) {
	all, err := migrations()
	if err != nil {
		return 0, err
	}
	have, err := appliedVersion(ctx, conn)
	if err != nil {
		return 0, err
	}
	latest := uint32(len(all))
	if have > latest {
		return 0, fmt.Errorf("%w: it has version %d, this program knows %d", ErrNewer, have, latest)
	}
	for _, m := range all[have:] {
		if err := m.apply(ctx, conn); err != nil {
			return 0, err
		}
	}
	return latest, nil
}

// ErrOlder is wrapped when the database lacks migrations.
var ErrOlder = errors.New("the database is older than this program; run gpumeter migrate as a user that may")

// Migrated returns the version of a database that somebody else migrates, and
// changes nothing. One that is not of this program's version is ErrOlder or
// ErrNewer.
func Migrated(ctx context.Context, conn driver.Conn) (version uint32, err error) {
	all, err := migrations()
	if err != nil {
		return 0, err
	}
	have, err := appliedVersion(ctx, conn)
	latest := uint32(len(all))
	switch {
	case err != nil:
		return 0, err
	case have < latest:
		return 0, fmt.Errorf("%w: it has version %d, this program needs %d", ErrOlder, have, latest)
	case have > latest:
		return 0, fmt.Errorf("%w: it has version %d, this program knows %d", ErrNewer, have, latest)
	}
	return have, nil
}

func (m migration) apply(ctx context.Context, conn driver.Conn) error {
	for i, s := range m.statements {
		if err := execDDL(ctx, conn, s); err != nil {
			return fmt.Errorf("migration %s, statement %d: %w", m.name, i+1, err)
		}
	}
	const insert = "INSERT INTO " + Database + "." + TableMigrations + " (version, name) VALUES ({version:UInt32}, {name:String})"
	if err := conn.Exec(ctx, insert, driver.NamedValue{Name: "version", Value: strconv.FormatUint(uint64(m.version), 10)}, driver.NamedValue{Name: "name", Value: m.name}); err != nil {
		return fmt.Errorf("record migration %s: %w", m.name, err)
	}
	return nil
}

// Codes of exceptions that a race of two IF NOT EXISTS can give.
const (
	codeUnknownTable    = 60
	codeUnknownDatabase = 81
	codeTableExists     = 57
	codeDatabaseExists  = 82
	codeDDLGuard        = 215 // DDL_GUARD_IS_ACTIVE
)

// execDDL runs one statement, again when another process was in the middle of
// the same one.
func execDDL(ctx context.Context, conn driver.Conn, statement string) error {
	const attempts = 10
	for attempt := 1; ; attempt++ {
		err := conn.Exec(ctx, statement)
		if err == nil || attempt == attempts || !hasCode(err, codeTableExists, codeDatabaseExists, codeDDLGuard, codeUnknownTable) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(attempt) * 20 * time.Millisecond):
		}
	}
}

func hasCode(err error, codes ...int32) bool {
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) {
		return false
	}
	for _, code := range codes {
		if exception.Code == code {
			return true
		}
	}
	return false
}

// appliedVersion is the greatest applied migration, 0 on an empty server.
func appliedVersion(ctx context.Context, conn driver.Conn) (uint32, error) {
	var version uint32
	err := conn.QueryRow(ctx, "SELECT max(version) FROM "+Database+"."+TableMigrations).Scan(&version)
	if hasCode(err, codeUnknownDatabase, codeUnknownTable) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the database's version: %w", err)
	}
	return version, nil
}

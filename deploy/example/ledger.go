package example

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gpumeter/gpumeter/deploy/replay"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/service"
	"github.com/gpumeter/gpumeter/sink/columns"
	"github.com/gpumeter/gpumeter/sink/insert"
)

//go:embed night later
var files embed.FS

// The parts of the input, in the order in which they became known.
const (
	night = "night"
	later = "later"
)

// Begin is the first instant of the night, End the first after it.
func Begin() time.Time { return at("20:00") }

// End is the first instant after the night.
func End() time.Time { return at("28:00") }

// Write makes dir/night and dir/later, input directories for gpumeter replay in
// this order.
func Write(dir string) error {
	for _, part := range []string{night, later} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o750); err != nil {
			return fmt.Errorf("example: %w", err)
		}
		entries, err := fs.ReadDir(files, part)
		if err != nil {
			return fmt.Errorf("example: %w", err)
		}
		for _, e := range entries {
			text, err := files.ReadFile(part + "/" + e.Name())
			if err != nil {
				return fmt.Errorf("example: %w", err)
			}
			if err := os.WriteFile(filepath.Join(dir, part, e.Name()), text, 0o600); err != nil {
				return fmt.Errorf("example: %w", err)
			}
		}
	}
	if err := writeSamples(filepath.Join(dir, night, "samples.ndjson")); err != nil {
		return fmt.Errorf("example: %w", err)
	}
	return nil
}

// Ledger takes the night through the whole pipeline into the empty ClickHouse at
// dsn: first what was known in the night, then what came later. dir holds the
// input and the broker's files.
func Ledger(ctx context.Context, dsn, dir string) error {
	if err := Write(dir); err != nil {
		return err
	}
	cfg := replay.DefaultConfig()
	cfg.Stack.Data, cfg.Stack.ClickHouse, cfg.Until = filepath.Join(dir, "data"), dsn, service.Instant(End().UnixMilli())
	for _, part := range []string{night, later} {
		if _, err := replay.Run(ctx, cfg, filepath.Join(dir, part), replay.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now}); err != nil {
			return fmt.Errorf("example: replay of %s: %w", part, err)
		}
	}
	return storeFindings(ctx, dsn)
}

// storeFindings makes the night's findings the only ones.
func storeFindings(ctx context.Context, dsn string) (err error) {
	conn, err := clickhouse.Open(dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if err := conn.Exec(ctx, "TRUNCATE TABLE "+clickhouse.Database+"."+clickhouse.LogTable(schemas.StreamFindings)); err != nil {
		return fmt.Errorf("example: findings: %w", err)
	}
	server, err := insert.New(dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	block := columns.NewEvents[schemas.Finding](schemas.StreamFindings)
	for _, f := range findings() {
		block.Append([]schemas.Finding{f}, f.UpdatedAt+1000)
	}
	if err := server.Insert(ctx, block.Table, block.Input()); err != nil {
		return fmt.Errorf("example: findings: %w", err)
	}
	return nil
}

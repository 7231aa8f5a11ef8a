package example

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// ledger is an engine that holds the night.
func ledger(t *testing.T) (httpURL string, conn driver.Conn) {
	t.Helper()
	engine, err := chdb.Start(t.Context(), chdb.Options{Dir: t.TempDir()})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := engine.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	if err := Ledger(t.Context(), engine.DSN(), t.TempDir()); err != nil {
		t.Fatal(err)
	}
	conn, err = clickhouse.Open(engine.DSN())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return engine.HTTPURL(), conn
}

package grafana

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/example"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	code := m.Run()
	if err := night.stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// night is the example's ledger, for all tests of this package: none changes it.
var night sharedLedger

type sharedLedger struct {
	once   sync.Once
	dir    string
	engine *chdb.Server
	conn   driver.Conn
	err    error
}

func (l *sharedLedger) start() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if l.dir, l.err = os.MkdirTemp("", "gpumeter-grafana-"); l.err != nil {
		return
	}
	if l.engine, l.err = chdb.Start(ctx, chdb.Options{Dir: l.dir + "/engine", Log: slog.New(slog.DiscardHandler)}); l.err != nil {
		return
	}
	if l.err = example.Ledger(ctx, l.engine.DSN(), l.dir+"/input"); l.err == nil {
		l.conn, l.err = clickhouse.Open(l.engine.DSN())
	}
}

func (l *sharedLedger) stop() error {
	var err error
	if l.conn != nil {
		err = l.conn.Close()
	}
	if l.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		err = errors.Join(err, l.engine.Stop(ctx))
	}
	return errors.Join(err, os.RemoveAll(l.dir))
}

// ledger is a connection to the night, over the protocol that the plugin speaks.
func ledger(t *testing.T) driver.Conn {
	t.Helper()
	night.once.Do(night.start)
	if errors.Is(night.err, chdb.ErrUnavailable) {
		t.Skip(night.err)
	}
	if night.err != nil {
		t.Fatal(night.err)
	}
	return night.conn
}

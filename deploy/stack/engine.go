package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// Engine is a ClickHouse to query: of a server, of the process that has the data
// directory open, or one that this process starts. close ends the latter.
func Engine(ctx context.Context, c Config, log *slog.Logger) (s *Stack, close func() error, err error) {
	nothing := func() error { return nil }
	if !c.EmbedsClickHouse() {
		at, err := httpURL(c.ClickHouse)
		return &Stack{ClickHouse: c.ClickHouse, HTTP: at}, nothing, err
	}
	if c.Data == "" {
		return nil, nil, errors.New("data: not given: name the directory of a ledger with --data, or a server with --clickhouse")
	}
	dir := EngineDir(c.Data)
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, fmt.Errorf("%s holds no ledger (gpumeter replay makes one): %w", c.Data, err)
	}
	address, err := chdb.Find(ctx, dir)
	if err == nil {
		return &Stack{ClickHouse: address.DSN(), HTTP: address.HTTPURL()}, nothing, nil
	}
	if !errors.Is(err, chdb.ErrNotRunning) {
		return nil, nil, err
	}
	engine, err := chdb.Start(ctx, chdb.Options{Dir: dir, NativeAddr: c.Listen.Native, HTTPAddr: c.Listen.HTTP, Log: log})
	if err != nil {
		return nil, nil, err
	}
	s = &Stack{ClickHouse: engine.DSN(), HTTP: engine.HTTPURL(), engine: engine}
	return s, s.Close, nil
}

// httpURL is the address of a dsn of the HTTP protocol with its password, else "".
func httpURL(dsn string) (string, error) {
	u, err := clickhouse.HTTPURL(dsn)
	if u == nil {
		return "", err
	}
	return u.String(), nil
}

// ErrNoHTTP is returned by URL when only the native protocol is known.
var ErrNoHTTP = errors.New("any output format needs ClickHouse's HTTP protocol: give --clickhouse http://user@host:8123?password_file=PATH")

// URL is where to post queries over HTTP.
func (s *Stack) URL() (*url.URL, error) {
	if s.HTTP == "" {
		return nil, ErrNoHTTP
	}
	return url.Parse(s.HTTP)
}

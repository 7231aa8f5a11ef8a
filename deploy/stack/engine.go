package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"

	"github.com/gpumeter/gpumeter/deploy/chdb"
)

// Engine is a ClickHouse to query: of a server, of the process that has the data
// directory open, or one that this process starts. close ends the latter.
func Engine(ctx context.Context, c Config, log *slog.Logger) (s *Stack, close func() error, err error) {
	nothing := func() error { return nil }
	if !c.EmbedsClickHouse() {
		return &Stack{ClickHouse: c.ClickHouse, HTTP: httpURL(c.ClickHouse)}, nothing, nil
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

// httpURL is dsn where it is of the HTTP protocol, else "".
func httpURL(dsn string) string {
	if u, err := url.Parse(dsn); err == nil && (u.Scheme == "http" || u.Scheme == "https") {
		return dsn
	}
	return ""
}

// ErrNoHTTP is returned by URL when only the native protocol is known.
var ErrNoHTTP = errors.New("any output format needs ClickHouse's HTTP protocol: give --clickhouse http://user:password@host:8123")

// URL is where to post queries over HTTP.
func (s *Stack) URL() (*url.URL, error) {
	if s.HTTP == "" {
		return nil, ErrNoHTTP
	}
	return url.Parse(s.HTTP)
}

package chdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// addressFile tells other processes where the engine of a directory listens.
const addressFile = "clickhouse.addr"

// ErrNotRunning is returned by Find when no process has the directory's engine
// open.
var ErrNotRunning = errors.New("no embedded ClickHouse is running here")

// An Address says where an engine listens.
type Address struct {
	PID    int    `json:"pid"`    // of the process that supervises the engine
	Native string `json:"native"` // host:port
	HTTP   string `json:"http"`   // host:port
}

// DSN is the connection string of the native protocol.
func (a Address) DSN() string { return "clickhouse://default@" + a.Native }

// HTTPURL is the connection string of the HTTP protocol.
func (a Address) HTTPURL() string { return "http://default@" + a.HTTP }

// Find returns the address of the engine that some process has open on dir. It
// asks the engine which directory it serves, because a port of a dead process
// may belong to another one by now.
func Find(ctx context.Context, dir string) (Address, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Address{}, fmt.Errorf("resolve %s: %w", dir, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, addressFile))
	if errors.Is(err, os.ErrNotExist) {
		return Address{}, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	if err != nil {
		return Address{}, fmt.Errorf("read the engine's address: %w", err)
	}
	var a Address
	if err := json.Unmarshal(text, &a); err != nil {
		return Address{}, fmt.Errorf("%s holds no address, remove it: %w", filepath.Join(dir, addressFile), err)
	}
	serves, err := ask(ctx, a.HTTP, "SELECT path FROM system.disks WHERE name = 'default'")
	if err != nil || filepath.Clean(serves) != dir {
		return Address{}, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	return a, nil
}

// write replaces the address file of dir in one step.
func (a Address) write(dir string) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, addressFile+".new")
	if err := os.WriteFile(temp, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("write the engine's address: %w", err)
	}
	return os.Rename(temp, filepath.Join(dir, addressFile))
}

// ask runs a query over HTTP and returns its text.
func ask(ctx context.Context, address, query string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	target := "http://" + address + "/?query=" + url.QueryEscape(query)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return "", err
	}
	request.Close = true // no idle connection keeps the relay or a goroutine
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return "", err
	}
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the engine answered %s: %s", response.Status, body)
	}
	return strings.TrimSpace(string(body)), nil
}

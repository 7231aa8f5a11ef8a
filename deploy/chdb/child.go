package chdb

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// childEnv marks a process as the engine child and holds its childSpec.
const childEnv = "GPUMETER_CHDB_CHILD"

// File descriptors that the child inherits.
const (
	stopFD = 3 // reading end of a pipe; its end of file is the wish to stop, or the parent's death
	lockFD = 4 // the directory's lock, held until the engine has ended too
)

// fifoName is the file in an engine's directory whose end ends the engine.
const fifoName = "stop.fifo"

// A childSpec is what the child is told by its parent.
type childSpec struct {
	Library string
	Dir     string
	Config  string // server configuration file
	Native  string // port
	HTTP    string // port
}

// RunChild runs the engine when this process was started as an engine child,
// and then returns its exit code and true. In any other process it returns
// false at once. It must be called first in main and in TestMain.
func RunChild() (code int, ran bool) {
	text, ok := os.LookupEnv(childEnv)
	if !ok {
		return 0, false
	}
	var spec childSpec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		slog.Error("read "+childEnv, "error", err)
		return 2, true
	}
	if err := spec.confine(); err != nil {
		slog.Error("engine", "error", err)
		return 1, true
	}
	if err := spec.run(); err != nil {
		slog.Error("engine", "error", err)
		return 1, true
	}
	return 0, true
}

// run hosts the engine until the parent wants it to stop. The engine is
// clickhouse-local, which runs as long as its last query: a read of a FIFO
// whose only writer is this process.
func (s childSpec) run() error {
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP, syscall.SIGINT) // SIGPIPE on an engine thread would kill the process; the parent decides about the others
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)

	fifo := filepath.Join(s.Dir, fifoName)
	if err := os.Remove(fifo); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove the last engine's fifo: %w", err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		return fmt.Errorf("make %s: %w", fifo, err)
	}
	writer, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", fifo, err)
	}
	terminal, err := terminalAsStdin()
	if err != nil {
		return err
	}
	go func() {
		awaitStop(terminate)
		// The query ends, the prompt after it finds its terminal gone, and
		// clickhouse-local closes the listeners, flushes and returns.
		_ = writer.Close()
		_ = terminal.Close()
	}()
	return runLocal(s.Library, s.arguments(fifo))
}

func awaitStop(terminate <-chan os.Signal) {
	closed := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(stopFD, "stop"))
		close(closed)
	}()
	select {
	case <-closed:
	case <-terminate:
	}
}

func (s childSpec) arguments(fifo string) []string {
	return []string{
		"clickhouse", "--config-file", s.Config, "--path", s.Dir,
		"--listen_host", "127.0.0.1", "--tcp_port", s.Native, "--http_port", s.HTTP,
		"--interactive",
		"--query", "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; SELECT * FROM file('" + fifo + "', 'LineAsString') FORMAT Null",
	}
}

package chdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gpumeter/gpumeter/deploy/lock"
)

// Defaults of Options.
const (
	// DefaultMemoryLimit leaves room for a replay's broker and engine within 1.5 GB.
	DefaultMemoryLimit = 800 << 20

	loopback = "127.0.0.1:0"
)

// How long things may take.
const (
	startTimeout = 60 * time.Second // a slow disk with thousands of parts
	lockTimeout  = 10 * time.Second // the engine of a killed parent ends in about two seconds
	stopTimeout  = 8 * time.Second  // then the engine is killed; what it acknowledged is on disk
	longestPause = 5 * time.Second  // between restarts
)

// Options of an engine.
type Options struct {
	Dir         string       // data directory, made when missing
	NativeAddr  string       // host:port of the native protocol, loopback; empty: any free port
	HTTPAddr    string       // host:port of HTTP, loopback; empty: any free port
	MemoryLimit int64        // bytes that the engine may use, 0 = DefaultMemoryLimit
	Library     string       // path of libchdb.so, empty: Library
	Log         *slog.Logger // nil: slog.Default
}

// A Server is a running engine and its supervisor.
type Server struct {
	options Options
	config  string
	address Address
	log     *slog.Logger
	lock    *os.File
	native  *relay
	http    *relay

	once    sync.Once
	stop    chan struct{} // closed by Stop
	stopped chan struct{} // closed when the supervisor has ended
}

// Start runs an engine on a directory and returns when both of its ports
// answer. It restarts the engine when it dies. Only one engine can have a
// directory open: Start fails when another process runs one, and waits for the
// engine of a parent that was killed. ctx bounds the start alone; Stop ends
// the engine.
func Start(ctx context.Context, o Options) (*Server, error) {
	o, err := o.complete(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	lock, err := openDir(ctx, o.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, log: o.Log, lock: lock, stop: make(chan struct{}), stopped: make(chan struct{})}
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, s.release())
	}
	first, err := s.launch(ctx)
	if err != nil {
		return nil, errors.Join(err, s.release())
	}
	if err := s.address.write(o.Dir); err != nil {
		return nil, errors.Join(err, first.end(), s.release())
	}
	go s.supervise(first)
	return s, nil
}

func (o Options) complete(ctx context.Context) (Options, error) {
	for _, address := range []*string{&o.NativeAddr, &o.HTTPAddr} {
		if *address == "" {
			*address = loopback
		}
		host, _, err := net.SplitHostPort(*address)
		if err != nil {
			return o, fmt.Errorf("listen address of the embedded ClickHouse: %w", err)
		}
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return o, fmt.Errorf("the embedded ClickHouse has no passwords and listens on loopback only, not on %s: use a server of your own with --clickhouse DSN", *address)
		}
	}
	var err error
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return o, fmt.Errorf("resolve the data directory: %w", err)
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = DefaultMemoryLimit
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Library == "" {
		o.Library, err = Library(ctx)
	}
	return o, err
}

// openDir makes dir and takes its lock.
func openDir(ctx context.Context, dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the engine's directory: %w", err)
	}
	if a, err := Find(ctx, dir); err == nil {
		return nil, fmt.Errorf("%s is open in process %d: query it there (%s) or end that process first", dir, a.PID, a.DSN())
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	held, err := lock.File(ctx, filepath.Join(dir, "gpumeter.lock"))
	if err != nil {
		return nil, fmt.Errorf("%s is in use by another process: end it, or choose another directory: %w", dir, err)
	}
	return held, nil
}

// listen opens the public ports and writes the configuration.
func (s *Server) listen() (err error) {
	if s.native, err = newRelay(s.options.NativeAddr); err != nil {
		return fmt.Errorf("listen for the native protocol: %w", err)
	}
	if s.http, err = newRelay(s.options.HTTPAddr); err != nil {
		return fmt.Errorf("listen for HTTP: %w", err)
	}
	s.address = Address{PID: os.Getpid(), Native: s.native.listener.Addr().String(), HTTP: s.http.listener.Addr().String()}
	s.config, err = writeConfig(s.options)
	return err
}

// launch starts an engine and points the relays at it.
func (s *Server) launch(ctx context.Context) (*process, error) {
	p, err := startProcess(ctx, childSpec{Library: s.options.Library, Dir: s.options.Dir, Config: s.config}, s.lock)
	if err != nil {
		return nil, err
	}
	s.native.point(p.native)
	s.http.point(p.http)
	return p, nil
}

// supervise keeps an engine running until Stop.
func (s *Server) supervise(p *process) {
	defer close(s.stopped)
	for {
		select {
		case <-s.stop:
			// Without its connections the engine ends at once instead of waiting for them.
			if err := errors.Join(s.native.close(), s.http.close(), p.end()); err != nil {
				s.log.Warn("the embedded ClickHouse did not end in order", "error", err)
			}
			return
		case <-p.done:
		}
		s.native.point("")
		s.http.point("")
		s.log.Warn("the embedded ClickHouse died and is restarted", "error", p.err, "log", filepath.Join(s.options.Dir, "engine.log"))
		_ = p.end()
		if p = s.relaunch(); p == nil {
			return
		}
	}
}

// relaunch tries until an engine is up; nil when Stop came first.
func (s *Server) relaunch() *process {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, longestPause) {
		p, err := s.launch(ctx)
		if err == nil {
			return p
		}
		if ctx.Err() != nil {
			return nil
		}
		s.log.Error("restart the embedded ClickHouse", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// Address says where the engine listens.
func (s *Server) Address() Address { return s.address }

// DSN is the connection string of the native protocol.
func (s *Server) DSN() string { return s.address.DSN() }

// HTTPURL is the connection string of the HTTP protocol.
func (s *Server) HTTPURL() string { return s.address.HTTPURL() }

// Stop closes every connection, ends the engine in order, within ten seconds,
// and releases the directory. What was acknowledged stays. A second Stop does nothing.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	s.once.Do(func() {
		close(s.stop)
		select {
		case <-s.stopped:
			err = errors.Join(os.Remove(filepath.Join(s.options.Dir, addressFile)), s.release())
		case <-ctx.Done():
			err = fmt.Errorf("stop the embedded ClickHouse: %w", ctx.Err())
		}
	})
	return err
}

// release gives back what listen and openDir took.
func (s *Server) release() error {
	var errs []error
	for _, r := range []*relay{s.native, s.http} {
		if r != nil {
			errs = append(errs, r.close())
		}
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

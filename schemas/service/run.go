package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"
)

// StopWithin is how long a component may take from the end of its context to
// its return. Orchestrators kill after 10 seconds at the earliest; what is not
// done then is done again by the successor.
const StopWithin = 10 * time.Second

// ErrStopTimeout is returned by Run when the component did not end in time.
var ErrStopTimeout = fmt.Errorf("did not stop within %v: what was not acknowledged is read again at the next start", StopWithin)

// A Component is what a binary runs. It returns nil when its work is done or
// when ctx ended and everything that it accepted is safe; an error otherwise.
type Component func(ctx context.Context, p *Process) error

// A Process is what a component gets from its shell.
type Process struct {
	Log  *slog.Logger
	HTTP string // where /metrics, /healthz and /readyz are served, "" = nowhere
	// Memory is what the process keeps to [bytes], 0 = there is no limit.
	Memory int64

	telemetry *Telemetry
	health    *health
}

// Meter makes the instruments of one package.
func (p *Process) Meter(scope string) metric.Meter { return p.telemetry.Meter(scope) }

// Ready tells that the component works from now on. check is asked at each
// /readyz, from any goroutine; nil = always ready. What it returns is shown.
func (p *Process) Ready(check func() error) {
	if check == nil {
		check = func() error { return nil }
	}
	p.health.check.Store(&check)
}

// Run gives component a shell and runs it until it returns, or until ctx ends
// and StopWithin has passed.
func Run(ctx context.Context, name string, cfg Config, logs io.Writer, component Component) (err error) {
	if err := cfg.Validate(); err != nil {
		return err
	}
	telemetry, err := NewTelemetry(name, Version())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, telemetry.Close(context.WithoutCancel(ctx))) }()
	p := &Process{Log: cfg.Log.Logger(logs), telemetry: telemetry, health: &health{}}
	limit, restore := cfg.Memory.keep(p.Log)
	defer restore()
	p.Memory = limit
	if cfg.HTTP.Listen != "" {
		at, stop, err := serve(cfg.HTTP.Listen, p.health.routes(telemetry))
		if err != nil {
			return err
		}
		defer stop()
		p.HTTP = at
		p.Log.Info("serving /metrics, /healthz and /readyz", "address", "http://"+at)
	}
	return p.run(ctx, component)
}

func (p *Process) run(ctx context.Context, component Component) error {
	done := make(chan error, 1)
	go func() { done <- component(ctx, p) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	began := time.Now()
	p.Log.Info("stopping", "within", StopWithin)
	p.Ready(func() error { return errors.New("stopping") })
	deadline := time.NewTimer(StopWithin)
	defer deadline.Stop()
	select {
	case err := <-done:
		p.Log.Info("stopped", "after", time.Since(began).Round(time.Millisecond))
		return err
	case <-deadline.C:
		return ErrStopTimeout
	}
}

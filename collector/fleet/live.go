package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gpumeter/gpumeter/collector/source"
)

// A Live is the source that runs a fleet against the wall clock: each event is
// handed over when its time has come.
type Live struct{ Config Config }

const (
	// turn is the shortest time between two looks at the clock.
	turn = 10 * time.Millisecond
	// stretch is how much event time, in ms, passes at most until a stop is seen.
	stretch = 10_000
	// backlog is where an accelerated fleet without duration begins.
	backlog = 24 * time.Hour
)

// Run hands over events until ctx ends or the duration is over; both are regular
// ends. At speed 1 event time is the clock's: a fleet whose start lies in the past
// hands over what it missed as fast as it is taken. At any other it begins at the
// start. It is never ahead of the clock.
func (l Live) Run(ctx context.Context, to source.Sink) error {
	cfg := l.Config
	if err := cfg.Validate(); err != nil {
		return err
	}
	begun := time.Now()
	if cfg.Start.IsZero() {
		cfg.Start = startFor(cfg, begun)
	}
	f, err := New(cfg)
	if err != nil {
		return err
	}
	truth, err := openTruth(cfg.Truth)
	if err != nil {
		return err
	}
	pace := pace{fleet: f, begun: begun, speed: cfg.Speed}
	if cfg.Duration > 0 {
		pace.end = f.start + cfg.Duration.Milliseconds()
	}
	return errors.Join(pace.run(ctx, to, truth), truth.Close())
}

// startFor is the start of a fleet that is given none: what is accelerated ends
// now when its duration is over.
func startFor(cfg Config, now time.Time) time.Time {
	if cfg.Speed <= 1 {
		return now
	}
	span := cfg.Duration
	if span == 0 {
		span = backlog
	}
	return now.Add(time.Duration(float64(span)/cfg.Speed) - span)
}

// A pace moves a fleet on with the clock.
type pace struct {
	fleet *Fleet
	begun time.Time
	speed float64
	end   int64 // Unix ms, 0 = never
}

// at is the event time at a time of the clock.
func (p pace) at(now time.Time) (t int64, over bool) {
	t = now.UnixMilli()
	if p.speed != 1 {
		t = min(t, p.fleet.start+int64(float64(now.Sub(p.begun).Milliseconds())*p.speed))
	}
	if p.end > 0 && t >= p.end {
		return p.end, true
	}
	return t, false
}

func (p pace) run(ctx context.Context, to source.Sink, truth io.Writer) error {
	lines, err := p.fleet.Record(truth)
	if err != nil {
		return fmt.Errorf("source.fleet.truth: %w", err)
	}
	wake := time.NewTimer(0)
	defer wake.Stop()
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
		case <-wake.C:
			var t int64
			t, over = p.at(time.Now())
			if err := p.step(ctx, t, to, lines); err != nil {
				return err
			}
			wait := float64(p.fleet.Next()-t) / p.speed
			wake.Reset(max(turn, time.Duration(wait*float64(time.Millisecond))))
		}
	}
	if err := lines.Write(p.fleet.Open()); err != nil {
		return fmt.Errorf("source.fleet.truth: %w", err)
	}
	return nil
}

// step goes to t, or as far as ctx lets it.
func (p pace) step(ctx context.Context, t int64, to source.Sink, truth Recorder) error {
	for ctx.Err() == nil && p.fleet.Now() < t {
		if err := p.fleet.Step(min(t, p.fleet.Now()+stretch), to); err != nil {
			return err
		}
		if err := truth.Write(p.fleet.Ended()); err != nil {
			return fmt.Errorf("source.fleet.truth: %w", err)
		}
	}
	return nil
}

// A truthFile is the file of the truth, or nothing.
type truthFile struct {
	*bufio.Writer
	file *os.File
}

func openTruth(path string) (truthFile, error) {
	if path == "" {
		return truthFile{Writer: bufio.NewWriter(io.Discard)}, nil
	}
	file, err := os.Create(path)
	if err != nil {
		return truthFile{}, fmt.Errorf("source.fleet.truth: %w", err)
	}
	return truthFile{bufio.NewWriter(file), file}, nil
}

// Close writes what is left.
func (t truthFile) Close() error {
	err := t.Flush()
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
	}
	if err != nil {
		return fmt.Errorf("source.fleet.truth: %w", err)
	}
	return nil
}

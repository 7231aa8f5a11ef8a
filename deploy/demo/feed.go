package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gpumeter/gpumeter/collector/files"
	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A feed is a source that says how far it is. Its Run ends with nil when ctx
// ends: that is how a demo is stopped.
type feed interface {
	source.Source
	// Reached is the event time, Unix ms, before which everything was handed
	// over; 0 = nothing yet. For any goroutine.
	Reached() int64
}

// step is how often a fleet moves.
const step = 100 * time.Millisecond

// A simulation is a synthetic fleet whose truth is written down.
type simulation struct {
	fleet   *fleet.Fleet
	clock   clock
	end     int64 // event time, Unix ms; 0 = until it is stopped
	truth   *os.File
	now     func() time.Time
	reached atomic.Int64
}

// simulate begins a fleet at now, or so far in the past that its end is now. It
// closes the file of truth when it ends.
func simulate(cfg Config, truth *os.File, now func() time.Time) (*simulation, error) {
	began := now()
	start := began
	switch {
	case cfg.Speed > 1 && cfg.For > 0:
		start = began.Add(-span(cfg))
	case cfg.Speed > 1:
		start = began.Add(-unbounded)
	}
	start = start.UTC().Truncate(time.Second)
	c := fleet.DefaultConfig()
	c.Seed, c.GPUs, c.Start, c.Interval = cfg.Seed, cfg.GPUs, start, cadence(cfg.Speed)
	f, err := fleet.New(c)
	if err != nil {
		return nil, err
	}
	s := &simulation{fleet: f, clock: clock{start: start, began: began, speed: cfg.Speed}, truth: truth, now: now}
	if cfg.For > 0 {
		s.end = start.Add(span(cfg)).UnixMilli()
	}
	return s, nil
}

// unbounded is how much of the past a fleet without end has before it has caught
// up with the clock.
const unbounded = 7 * 24 * time.Hour

// span is the event time of a demo that has an end.
func span(cfg Config) time.Duration { return time.Duration(float64(cfg.For) * cfg.Speed) }

// cadence is the time between two samples of a GPU: a second live, and no more
// than six of each GPU in a second where time goes faster.
func cadence(speed float64) time.Duration {
	return min(max(time.Duration(speed/6)*time.Second, time.Second), 10*time.Second)
}

// Reached is where the last step went.
func (s *simulation) Reached() int64 { return s.reached.Load() }

// Run steps to where the clock is until the end.
func (s *simulation) Run(ctx context.Context, to source.Sink) (err error) {
	defer func() { err = errors.Join(err, s.truth.Close()) }()
	truth, err := s.fleet.Record(s.truth)
	if err != nil {
		return err
	}
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	for done := false; !done; {
		until := s.clock.at(s.now())
		if s.end != 0 && until >= s.end {
			until, done = s.end, true
		}
		if err := s.fleet.Step(until, to); err != nil {
			return err
		}
		s.reached.Store(until)
		if err := truth.Write(s.fleet.Ended()); err != nil {
			return fmt.Errorf("write the truth: %w", err)
		}
		if done {
			break
		}
		select {
		case <-ctx.Done():
			done = true
		case <-ticker.C:
		}
	}
	return truth.Write(s.fleet.Open())
}

// A player hands over the rows of a directory when their time has come. Rows
// without one (resources, prices, tags) come at once. A file that is not in order
// of time is played as it is: what stands behind a later row comes late.
type player struct {
	files files.Source
	clock clock
	now   func() time.Time
	pace  string // the stream that says how far the player is
	at    atomic.Int64
}

// play begins at the first sample of a directory, else at its first event.
func play(cfg Config, source files.Source, now func() time.Time) (*player, error) {
	p := &player{files: source, now: now}
	for _, stream := range []string{schemas.StreamSamples, schemas.StreamAllocations, schemas.StreamProcesses} {
		ts, err := first(source.Config.Dir, stream)
		if err != nil {
			return nil, err
		}
		if ts != 0 {
			p.pace = stream
			p.clock = clock{start: time.UnixMilli(ts), began: now(), speed: cfg.Speed}
			return p, nil
		}
	}
	return nil, fmt.Errorf("%s holds no sample, allocation or process that can be read: there is nothing to play", source.Config.Dir)
}

// first is the time of the first row of a file; 0 when there is none.
func first(dir, stream string) (int64, error) {
	for _, file := range contract.Files() {
		if file.Stream != stream {
			continue
		}
		f, err := os.Open(filepath.Join(dir, file.Name))
		if errors.Is(err, os.ErrNotExist) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		defer f.Close()
		r := contract.NewReader(file, f)
		for {
			err := r.Next()
			if why := (*contract.Error)(nil); errors.As(err, &why) {
				continue // it will be a dead letter
			}
			if errors.Is(err, io.EOF) {
				return 0, nil
			}
			// The others are the rows of files that were not asked for.
			return max(r.Sample.TS, r.Allocation.TS, r.Process.TS), err
		}
	}
	return 0, nil
}

// Reached is the clock's time, or less where reading does not keep up.
func (p *player) Reached() int64 {
	at := p.at.Load()
	if at == 0 {
		return 0
	}
	return min(at, p.clock.at(p.now()))
}

// Run plays until the files end or ctx does.
func (p *player) Run(ctx context.Context, to source.Sink) error {
	err := p.files.Run(ctx, &gate{Sink: to, player: p, ctx: ctx})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// A gate holds rows back until the player's clock is there.
type gate struct {
	source.Sink
	player *player
	ctx    context.Context // of the run: the methods of a sink have none
}

// ahead is rule 1's: what is later than this is refused, whenever it comes.
const ahead = 10 * time.Minute

func (g *gate) wait(stream string, ts int64) error {
	p := g.player
	if ts > p.now().Add(ahead).UnixMilli() {
		return nil
	}
	if stream == p.pace && ts > p.at.Load() {
		p.at.Store(ts)
	}
	left := p.clock.reaches(ts, p.now())
	if left <= 0 {
		return nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-g.ctx.Done():
		return g.ctx.Err()
	}
}

// Sample waits for the sample's time.
func (g *gate) Sample(s *contract.Sample) error {
	if err := g.wait(schemas.StreamSamples, s.TS); err != nil {
		return err
	}
	return g.Sink.Sample(s)
}

// Process waits for the reading's time.
func (g *gate) Process(p schemas.Process) error {
	if err := g.wait(schemas.StreamProcesses, p.TS); err != nil {
		return err
	}
	return g.Sink.Process(p)
}

// Allocation waits for the event's time.
func (g *gate) Allocation(a schemas.Allocation) error {
	if err := g.wait(schemas.StreamAllocations, a.TS); err != nil {
		return err
	}
	return g.Sink.Allocation(a)
}

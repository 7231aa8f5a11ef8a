package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A run is one seed.
type run struct {
	settings
	seed   uint64
	dir    string // of everything that it writes
	bin    string
	out    io.Writer
	load   *load
	faults []fault
	pipe   *pipeline

	mu      sync.Mutex
	began   time.Time // of the trouble
	horizon int64     // that was named last
}

// do takes the pipeline through the faults of the seed and judges what is left. An
// error is one of the pipeline: a stage that gave up, or rows that never arrived.
func (r *run) do(ctx context.Context) (v verdict, err error) {
	r.settings = settingsOf(r.seed)
	r.faults = plan(r.seed, r.settings)
	begun := time.Now()
	both, opening := errgroup.WithContext(ctx)
	both.Go(func() (err error) {
		r.load, err = prepare(r.dir, r.seed, r.spool)
		return err
	})
	both.Go(func() (err error) {
		r.pipe, err = open(opening, r.dir, r.bin, r.settings)
		return err
	})
	err = both.Wait()
	if r.pipe != nil {
		defer func() { err = errors.Join(err, r.pipe.close()) }()
	}
	if err != nil {
		return v, err
	}
	r.say("%s; %d events (%d of them late, %d twice) in %d portions; ready after %.1f s", r.settings, r.load.events, r.load.late, r.load.repeated, portions, time.Since(begun).Seconds())
	if r.spool {
		r.pipe.agent = r.pipe.newAgent(r.load)
	}
	if err := r.pass(ctx); err != nil {
		return v, err
	}
	return r.pipe.judge(ctx, r.load)
}

func (r *run) say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, "seed %d: "+format+"\n", append([]any{r.seed}, args...)...)
}

// pass runs the stages from the first event to the last row, and stops them.
func (r *run) pass(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	keeping, enough := context.WithCancel(ctx)
	var stages sync.WaitGroup
	for _, s := range r.pipe.stages {
		stages.Go(func() {
			if err := s.keep(keeping); err != nil {
				fail(err)
			}
		})
	}
	defer stages.Wait()
	defer enough()
	if err := r.trouble(ctx); err != nil {
		return because(ctx, err)
	}
	if err := r.settle(ctx); err != nil {
		return because(ctx, err)
	}
	enough()
	stages.Wait()
	var errs []error
	for _, name := range append(r.storers(), one, two) {
		errs = append(errs, r.pipe.stages[name].stop())
	}
	return errors.Join(errs...)
}

// settle lets everything arrive; then what was held back, which restates it.
func (r *run) settle(ctx context.Context) error {
	began := time.Now()
	if err := r.pipe.settle(ctx, r.horizon+(r.load.horizon-r.horizon)/2, false); err != nil {
		return err
	}
	r.say("settled after %.1f s", time.Since(began).Seconds())
	began = time.Now()
	late, collecting := errgroup.WithContext(ctx)
	for _, dir := range r.load.portions[portions-heldBack:] {
		late.Go(func() error { return r.pipe.collect(collecting, dir) })
	}
	if err := late.Wait(); err != nil {
		return err
	}
	err := r.pipe.settle(ctx, r.load.horizon, true)
	r.say("with what was held back, after %.1f s", time.Since(began).Seconds())
	return err
}

// because is the reason why ctx has ended, where it has.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// trouble publishes the portions but those held back and commits the faults, until
// all are through.
func (r *run) trouble(ctx context.Context) error {
	r.began = time.Now()
	all, ctx := errgroup.WithContext(ctx)
	for i, dir := range r.load.portions[:portions-heldBack] {
		all.Go(func() error {
			pause(ctx, trouble*time.Duration(i)/(portions-heldBack))
			return r.pipe.collect(ctx, dir)
		})
	}
	if r.spool {
		all.Go(func() error { return r.pipe.agent.run(ctx, r.pipe, r.load) })
	}
	for _, f := range r.faults {
		all.Go(func() error { return r.fault(ctx, f) })
	}
	ticking, through := context.WithCancel(ctx)
	ticks := make(chan error, 1)
	go func() { ticks <- r.ticks(ticking) }()
	err := all.Wait()
	through()
	return errors.Join(err, <-ticks)
}

func (r *run) fault(ctx context.Context, f fault) error {
	pause(ctx, f.at)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	note, err := r.pipe.suffer(ctx, f)
	if err != nil {
		return fmt.Errorf("%s: %w", f, err)
	}
	if note != "" {
		note = " (" + note + ")"
	}
	r.say("%s%s, mended at %.1f s", f, note, time.Since(r.began).Seconds())
	return nil
}

const (
	// tickEvery is how often the ledger's time moves while there is trouble.
	tickEvery = 500 * time.Millisecond
	// tickPart is the part of the time left that it moves by: it is never through.
	tickPart = 20
)

// ticks moves the ledger's time about as fast as the portions come: windows become
// final, and what is late restates them.
func (r *run) ticks(ctx context.Context) error {
	r.horizon = fleetStart().UnixMilli()
	for {
		pause(ctx, tickEvery)
		r.horizon += (r.load.horizon - r.horizon) / tickPart
		_, err := r.pipe.tick(ctx, r.horizon, false)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop
		}
		if err != nil {
			return err
		}
	}
}

// summary counts faults by kind and target.
func summary(faults []fault) string {
	counts := map[string]int{}
	for _, f := range faults {
		counts[string(f.kind)+" "+f.target]++
	}
	var list []string
	for what, n := range counts {
		if n > 1 {
			what = fmt.Sprintf("%d× %s", n, what)
		}
		list = append(list, what)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

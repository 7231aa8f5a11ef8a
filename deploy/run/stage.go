package run

import (
	"context"
	"fmt"
	"time"
)

// A Stage runs until it is stopped. Its context does not end with its caller's:
// stages are stopped one by one, the upstream ones first, so that what one has
// passed on the next one stores.
type Stage struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // valid when done is closed
}

// Launch starts run. If it ends before it is stopped, fail gets the reason.
func Launch(ctx context.Context, name string, fail context.CancelCauseFunc, run func(context.Context) error) *Stage {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &Stage{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		err := run(ctx)
		switch {
		case err != nil:
			s.err = fmt.Errorf("%s: %w", name, err)
			fail(s.err)
		case ctx.Err() == nil:
			s.err = fmt.Errorf("%s ended before it was told to", name)
			fail(s.err)
		}
	}()
	return s
}

// Stop ends the stage and waits for it. A second stop gives the same error.
func (s *Stage) Stop() error {
	s.cancel()
	<-s.done
	return s.err
}

// poll is how often a condition is looked at that nobody announces.
const poll = 20 * time.Millisecond

// Await returns when the condition holds, fails, or ctx ends.
func Await(ctx context.Context, condition func(context.Context) (bool, error)) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if holds, err := condition(ctx); holds || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

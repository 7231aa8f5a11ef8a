package run

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestStageOutlivesItsCallerAndStopsWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := false
		s := Launch(ctx, "sink", cancel, func(ctx context.Context) error {
			<-ctx.Done()
			stopped = true
			return nil
		})
		cancel(nil)
		synctest.Wait()
		if stopped {
			t.Error("ended with its caller's context")
		}
		if err := errors.Join(s.Stop(), s.Stop()); err != nil || !stopped {
			t.Errorf("stopped: %v, %v", stopped, err)
		}
	})
}

func TestStageThatEndsEarlySaysWhy(t *testing.T) {
	broken := errors.New("disk full")
	for _, result := range []error{nil, broken} {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := Launch(ctx, "sink", cancel, func(context.Context) error { return result })
		<-ctx.Done()
		if err := context.Cause(ctx); err == nil || result != nil && !errors.Is(err, broken) {
			t.Errorf("cause: %v", err)
		}
		if err := s.Stop(); err == nil {
			t.Error("stop hides that it had ended")
		}
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, asked := time.Now(), 0
		if err := Await(t.Context(), func(context.Context) (bool, error) { asked++; return asked == 4, nil }); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 3*poll {
			t.Errorf("took %v", took)
		}
		broken := errors.New("gone")
		if err := Await(t.Context(), func(context.Context) (bool, error) { return false, broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(broken)
		if err := Await(ctx, func(context.Context) (bool, error) { return false, nil }); !errors.Is(err, broken) {
			t.Error(err)
		}
	})
}

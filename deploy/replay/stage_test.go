package replay

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestStageOutlivesTheReplayAndStopsWhenTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		stopped := false
		s := launch(ctx, "sink", cancel, func(ctx context.Context) error {
			<-ctx.Done()
			stopped = true
			return nil
		})
		cancel(nil)
		synctest.Wait()
		if stopped {
			t.Error("ended with the replay's context")
		}
		if err := errors.Join(s.stop(), s.stop()); err != nil || !stopped {
			t.Errorf("stopped: %v, %v", stopped, err)
		}
	})
}

func TestStageThatEndsEarlyFailsTheReplay(t *testing.T) {
	broken := errors.New("disk full")
	for _, result := range []error{nil, broken} {
		ctx, cancel := context.WithCancelCause(t.Context())
		s := launch(ctx, "sink", cancel, func(context.Context) error { return result })
		<-ctx.Done()
		if err := context.Cause(ctx); err == nil || result != nil && !errors.Is(err, broken) {
			t.Errorf("cause: %v", err)
		}
		if err := s.stop(); err == nil {
			t.Error("stop hides that it had ended")
		}
	}
}

func TestAwait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, asked := time.Now(), 0
		if err := await(t.Context(), func(context.Context) (bool, error) { asked++; return asked == 4, nil }); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 3*poll {
			t.Errorf("took %v", took)
		}
		broken := errors.New("gone")
		if err := await(t.Context(), func(context.Context) (bool, error) { return false, broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(broken)
		if err := await(ctx, func(context.Context) (bool, error) { return false, nil }); !errors.Is(err, broken) {
			t.Error(err)
		}
	})
}

func TestPeakMemoryCountsThisProcess(t *testing.T) {
	if got := peakMemory(); got != 0 && got < 1<<20 {
		t.Errorf("%d bytes", got)
	}
}

func TestInstant(t *testing.T) {
	for text, want := range map[string]Instant{
		"1675810800000": 1675810800000, "2023-02-07T23:00:00Z": 1675810800000, "2023-02-08T00:00:00.25+01:00": 1675810800250, "2023-02-07T23:00:00.2509Z": 1675810800250, "0": 0,
	} {
		var got Instant
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		var again Instant
		if text, _ := got.MarshalText(); got != 0 && (again.UnmarshalText(text) != nil || again != got) {
			t.Errorf("%s: written as %s", got, text)
		}
	}
	var i Instant
	for _, text := range []string{"", "yesterday", "2023-02-07", "1.5"} {
		if err := i.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: read as %d", text, i)
		}
	}
}

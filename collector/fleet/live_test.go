package fleet

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A witness compares events with the clock.
type witness struct {
	tape
	t           *testing.T
	first       int64         // ts of the first sample
	late        time.Duration // largest age of a sample when it came
	refuseAfter int           // samples, 0 = never
}

func (w *witness) Sample(s *contract.Sample) error {
	w.samples++
	if w.refuseAfter > 0 && w.samples > w.refuseAfter {
		return errFull
	}
	if w.first == 0 {
		w.first = s.TS
	}
	age := time.Since(time.UnixMilli(s.TS))
	if age < 0 {
		w.t.Fatalf("a sample of %v from now", -age)
	}
	w.late = max(w.late, age)
	return nil
}

var errFull = errors.New("the sink is full")

// TestLive: at speed 1 each sample comes in its time, and the end of the context
// is a regular end.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(at)))
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		cfg := DefaultConfig()
		w := &witness{t: t}
		if err := (Live{cfg}).Run(ctx, w); err != nil {
			t.Fatal(err)
		}
		if devices := 64 + 3 + 5; w.samples < 88*64 || w.samples > 91*devices {
			t.Errorf("%d samples in 90 seconds of 64 GPUs", w.samples)
		}
		if w.late > 2*turn {
			t.Errorf("a sample was %v late", w.late)
		}
	})
}

// TestAccelerated: event time goes as fast as told, is never ahead of the clock,
// ends with it, and two runs have one truth.
func TestAccelerated(t *testing.T) {
	var truths [2][]byte
	for i := range truths {
		path := filepath.Join(t.TempDir(), "truth.ndjson")
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(time.Until(time.UnixMilli(at)))
			time.Sleep(time.Duration(i) * 1234567 * time.Millisecond) // another start
			cfg := DefaultConfig()
			cfg.Interval, cfg.Duration, cfg.Speed, cfg.Truth = 10*time.Second, time.Hour, 60, path
			begun := time.Now()
			w := &witness{t: t}
			if err := (Live{cfg}).Run(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took < time.Minute || took > time.Minute+2*turn {
				t.Errorf("an hour at 60 took %v", took)
			}
			if ahead := begun.Add(time.Minute - time.Hour).UnixMilli(); w.first < ahead || w.first > ahead+60_000 || w.samples < 64*300 {
				t.Errorf("%d samples, the first %d ms after the start", w.samples, w.first-ahead)
			}
		})
		var err error
		if truths[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(truths[0], truths[1]) {
		t.Error("two runs of one seed wrote two truths")
	}
	if n := bytes.Count(truths[0], []byte("\n")); n < 30 {
		t.Errorf("%d lines of truth", n)
	}
	if !bytes.Contains(truths[0], []byte(`"threshold_at_ms":1`)) {
		t.Error("no alert in an hour")
	}
}

// TestMissed: a live fleet that was away hands over what it missed, and goes on
// with the clock.
func TestMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(at)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cfg := DefaultConfig()
		cfg.GPUs, cfg.Interval = 8, 10*time.Second
		cfg.Start = time.Now().Add(-2 * time.Hour)
		w := &witness{t: t}
		if err := (Live{cfg}).Run(ctx, w); err != nil {
			t.Fatal(err)
		}
		if n := 8 * 6 * 121; w.samples < n-8 || w.samples > n+8 || w.late < 2*time.Hour-10*time.Second {
			t.Errorf("%d samples of two hours and a minute, the oldest of %v ago", w.samples, w.late)
		}
	})
}

// TestAcceleratedWithoutEnd: what has caught up with the clock goes on with it.
func TestAcceleratedWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(at)))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		cfg := DefaultConfig()
		cfg.GPUs, cfg.Interval, cfg.Speed = 8, 10*time.Second, 1440
		w := &witness{t: t}
		if err := (Live{cfg}).Run(ctx, w); err != nil {
			t.Fatal(err)
		}
		if day := 24 * 360 * 8; w.samples < day*9/10 || w.samples > day+8*20 {
			t.Errorf("%d samples of a day and two minutes", w.samples)
		}
	})
}

func TestLiveFails(t *testing.T) {
	bad := DefaultConfig()
	bad.GPUs = 9
	if err := (Live{bad}).Run(t.Context(), &tape{}); err == nil || !strings.Contains(err.Error(), "source.fleet.gpus") {
		t.Errorf("error is %v, want that 9 GPUs are no nodes", err)
	}
	nowhere := DefaultConfig()
	nowhere.Truth = filepath.Join(t.TempDir(), "no", "such", "place")
	if err := (Live{nowhere}).Run(t.Context(), &tape{}); err == nil || !strings.Contains(err.Error(), "source.fleet.truth") {
		t.Errorf("error is %v, want that the truth cannot be written", err)
	}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.UnixMilli(at)))
		if err := (Live{DefaultConfig()}).Run(t.Context(), &witness{t: t, refuseAfter: 100}); !errors.Is(err, errFull) {
			t.Errorf("error is %v, want the sink's", err)
		}
	})
}

func TestConfigValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(*Config) {}, ""},
		{func(c *Config) { c.GPUs = 0 }, "source.fleet.gpus"},
		{func(c *Config) { c.GPUs = 12 }, "source.fleet.gpus"},
		{func(c *Config) { c.GPUs = 1 << 20 }, "source.fleet.gpus"},
		{func(c *Config) { c.Interval = 1500 * time.Millisecond }, "source.fleet.interval"},
		{func(c *Config) { c.Interval = time.Minute }, "source.fleet.interval"},
		{func(c *Config) { c.Start = time.Unix(0, 0) }, "source.fleet.start"},
		{func(c *Config) { c.Duration = -1 }, "source.fleet.duration"},
		{func(c *Config) { c.Speed = 0 }, "source.fleet.speed"},
		{func(c *Config) { c.Speed = 1e9 }, "source.fleet.speed"},
	} {
		cfg := DefaultConfig()
		c.change(&cfg)
		if err := cfg.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", cfg, err, c.want)
		}
	}
	if _, err := New(DefaultConfig()); err == nil || !strings.Contains(err.Error(), "source.fleet.start") {
		t.Errorf("error is %v, want that a fleet without clock needs a start", err)
	}
}

func TestStepsGoForwardOnly(t *testing.T) {
	f, r := make1(t, configure(1, 8)), &tape{}
	if f.Next() != f.Start() {
		t.Errorf("the first event is %d ms after the start", f.Next()-f.Start())
	}
	if err := f.Step(f.Start()+hour, r); err != nil {
		t.Fatal(err)
	}
	n := r.samples
	if err := f.Step(f.Start()+minute, r); err != nil || r.samples != n || f.Now() != f.Start()+hour {
		t.Errorf("a step back gave %d samples (%v)", r.samples-n, err)
	}
	if f.Next() < f.Now() || f.Next() > f.Now()+10_000 {
		t.Errorf("the next event is %d ms from now", f.Next()-f.Now())
	}
	r.disorder = errFull
	if err := f.Step(f.Start()+2*hour, r); !errors.Is(err, errFull) {
		t.Errorf("error is %v, want the sink's", err)
	}
}

package demo

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpumeter/gpumeter/collector/files"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// taken notes when rows come.
type taken struct {
	samples []time.Time
	first   int64 // ts of the first sample
	last    int64
	others  int
	price   schemas.Price
}

func (s *taken) Sample(v *contract.Sample) error {
	if s.first == 0 {
		s.first = v.TS
	}
	s.samples, s.last = append(s.samples, time.Now()), v.TS
	return nil
}
func (s *taken) Process(schemas.Process) error       { return nil }
func (s *taken) Allocation(schemas.Allocation) error { return nil }
func (s *taken) Resource(schemas.Resource) error     { s.others++; return nil }
func (s *taken) Price(p schemas.Price) error         { s.others++; s.price = p; return nil }
func (s *taken) Tag(schemas.Tag) error               { s.others++; return nil }
func (s *taken) DeadLetter(schemas.DeadLetter) error { s.others++; return nil }

// write makes an input directory of one file.
func write(t *testing.T, name, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func reading(dir string) files.Source {
	c := files.DefaultConfig()
	c.Dir = dir
	return files.Source{Config: c, Ignored: func(string, string) {}}
}

// Rows come when their time does: a minute of events in a second, where time goes
// sixty times as fast. The first line is broken, and nobody waits for the year 2100.
func TestAPlayerKeepsTime(t *testing.T) {
	dir := write(t, "samples.ndjson", `{"ts":17}x
{"ts":915148800000,"node":"n","gpu":"g"}
{"ts":915148830000,"node":"n","gpu":"g"}
{"ts":915148860000,"node":"n","gpu":"g"}
{"ts":915148845000,"node":"n","gpu":"g"}
{"ts":4102444800000,"node":"n","gpu":"g"}
`)
	synctest.Test(t, func(t *testing.T) {
		p, err := play(Config{Speed: 60}, reading(dir), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		if p.Reached() != 0 {
			t.Errorf("reached %d before the first row", p.Reached())
		}
		began := time.Now()
		halfway := time.AfterFunc(250*time.Millisecond, func() {
			if got := p.Reached(); got != 915148815000 { // waiting for the row of 30
				t.Errorf("reached %d", got)
			}
		})
		defer halfway.Stop()
		var to taken
		if err := p.Run(t.Context(), &to); err != nil {
			t.Fatal(err)
		}
		want := []time.Duration{0, 500 * time.Millisecond, time.Second, time.Second, time.Second}
		for i, at := range to.samples {
			if got := at.Sub(began).Round(time.Millisecond); got != want[i] {
				t.Errorf("row %d after %v, want %v", i, got, want[i])
			}
		}
		if to.others != 1 || p.Reached() != 915148860000 {
			t.Errorf("%d dead letters, reached %d", to.others, p.Reached())
		}
	})
}

// A player that is stopped ends at once, also while it waits, and that is no
// failure.
func TestAPlayerIsStopped(t *testing.T) {
	dir := write(t, "allocations.ndjson", `{"ts":915148800000,"event":"start","allocation":"a"}
{"ts":915235200000,"event":"end","allocation":"a"}
`)
	synctest.Test(t, func(t *testing.T) {
		p, err := play(Config{Speed: 1}, reading(dir), time.Now)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(3*time.Second, stop)
		began := time.Now()
		if err := p.Run(ctx, &taken{}); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 3*time.Second || p.Reached() != 915148803000 {
			t.Errorf("ended after %v at %d", took, p.Reached())
		}
	})
}

func TestNothingToPlay(t *testing.T) {
	dir := write(t, "samples.ndjson", "{}\n")
	if _, err := play(Config{Speed: 1}, reading(dir), time.Now); err == nil {
		t.Error("plays an input without events")
	}
}

// simulated runs a fleet in a bubble and returns its truth.
func simulated(t *testing.T, cfg Config, stop time.Duration) (truth string, reached int64, rows taken) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		file, err := os.Create(filepath.Join(t.TempDir(), "truth"))
		if err != nil {
			t.Fatal(err)
		}
		ctx := t.Context()
		if stop > 0 {
			var end context.CancelFunc
			ctx, end = context.WithTimeout(ctx, stop)
			defer end()
		}
		s, err := simulate(cfg, file, func() time.Time { return time.Now().AddDate(26, 0, 0) }) // fleets are not older than 2010
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := s.Run(ctx, &rows); err != nil {
			t.Fatal(err)
		}
		if took, want := time.Since(began), cfg.For+stop; took > want+step {
			t.Errorf("took %v, want %v", took, want)
		}
		text, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		truth, reached = string(text), s.Reached()
	})
	return truth, reached, rows
}

// The same seed and flags give the same truth, and nothing after its end.
func TestASimulationRepeatsItsTruth(t *testing.T) {
	cfg := Config{Seed: 5, GPUs: 16, Speed: 120, For: 30 * time.Second}
	first, reached, rows := simulated(t, cfg, 0)
	again, _, _ := simulated(t, cfg, 0)
	if first != again || len(first) < 1000 {
		t.Errorf("%d bytes of truth, then %d", len(first), len(again))
	}
	if got := reached - rows.first; got < time.Hour.Milliseconds()-20_000 || got > time.Hour.Milliseconds() || rows.last >= reached {
		t.Errorf("reached %d ms after the first sample, the last is at %d", got, rows.last-reached)
	}
	cfg.Seed++
	if other, _, _ := simulated(t, cfg, 0); other == first {
		t.Error("another seed, the same truth")
	}
}

// Without an end a fleet begins in the past and goes on until it is stopped.
func TestASimulationWithoutEnd(t *testing.T) {
	truth, reached, rows := simulated(t, Config{Seed: 5, GPUs: 8, Speed: 60}, 10*time.Second)
	if got := reached - rows.first; got < 580_000 || got > 610_000 || truth == "" {
		t.Errorf("reached %d ms after the first sample", got)
	}
}

func TestEventTimeIsNeverAheadOfTheClock(t *testing.T) {
	now := time.UnixMilli(1_780_275_600_000)
	c := clock{start: now.Add(-time.Minute), began: now, speed: 60}
	for after, want := range map[time.Duration]time.Duration{0: -time.Minute, 500 * time.Millisecond: -30 * time.Second, time.Second: 0, 10 * time.Second: 10 * time.Second} {
		if got := c.at(now.Add(after)) - now.UnixMilli(); got < want.Milliseconds() || got > max(0, want.Milliseconds()+1000) && got > after.Milliseconds() {
			t.Errorf("after %v: %d", after, got)
		}
	}
	if c.at(now.Add(time.Hour)) != now.Add(time.Hour).UnixMilli() {
		t.Error("does not go on with the clock once it has caught up")
	}
}

func TestCadence(t *testing.T) {
	for speed, want := range map[float64]time.Duration{1: time.Second, 6: time.Second, 30: 5 * time.Second, 60: 10 * time.Second, 6000: 10 * time.Second} {
		if got := cadence(speed); got != want {
			t.Errorf("%v: %v", speed, got)
		}
	}
}

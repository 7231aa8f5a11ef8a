package demo

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/schemas"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// shown is a display that remembers.
type shown struct {
	mu     sync.Mutex
	models []*Model
	each   func(*Model)
}

func (s *shown) Show(m *Model) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.models = append(s.models, m)
	if s.each != nil {
		s.each(m)
	}
	return nil
}

func (s *shown) last() *Model { return s.models[len(s.models)-1] }

// show runs a demo whose ledger must hold.
func show(ctx context.Context, t *testing.T, cfg Config, view *shown) *Summary {
	t.Helper()
	s, err := Run(ctx, cfg, Env{Log: slog.New(slog.DiscardHandler), View: view, Now: time.Now})
	if errors.Is(err, chdb.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !s.OK() || s.Report.Rows == 0 || len(s.Report.Checks) < 5 {
		t.Errorf("verify: %s", &s.Report)
	}
	return s
}

// TestAFleetFromItsEventsToAVerifiedLedger is the demo of the README in small.
func TestAFleetFromItsEventsToAVerifiedLedger(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Data, cfg.GPUs, cfg.Seed, cfg.Speed, cfg.For = filepath.Join(t.TempDir(), "data"), 16, 3, 600, 5*time.Second
	var view shown
	s := show(t.Context(), t, cfg, &view)
	if s.First == 0 || s.First > 15*time.Second {
		t.Errorf("first money after %v", s.First)
	}
	if s.Ledger.GPUs != 16 || s.Ledger.Currency != "USD" || s.Ledger.Total <= 0 || s.Samples == 0 || s.Recorded < s.Samples {
		t.Errorf("%+v", s)
	}
	if m := view.last(); m.Ledger.Total != s.Ledger.Total || m.Health.Lag != 0 || m.Phase != "stopping" || len(m.Doors) != 3 {
		t.Errorf("the last frame shows %+v", m)
	}
	truth, err := os.ReadFile(s.Truth)
	if err != nil || !strings.Contains(string(truth), `"seed":3`) {
		t.Errorf("truth: %.200s, %v", truth, err)
	}
	var out strings.Builder
	if err := s.Print(&out); err != nil || !strings.Contains(out.String(), "verify: 0 violations") || !strings.Contains(out.String(), s.Truth) {
		t.Errorf("%v\n%s", err, &out)
	}
	if _, err := Run(t.Context(), cfg, Env{Log: slog.New(slog.DiscardHandler), View: &view, Now: time.Now}); err == nil || !strings.Contains(err.Error(), "holds a ledger") {
		t.Errorf("a second demo on the same ledger: %v", err)
	}
}

// A demo that is interrupted ends within bounded time, with nothing lost.
func TestInterruptedDemoLosesNothing(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	cfg := DefaultConfig()
	cfg.GPUs, cfg.Speed = 8, 300
	var interrupted time.Time
	view := &shown{each: func(m *Model) {
		if m.First > 0 && interrupted.IsZero() {
			interrupted = time.Now()
			interrupt()
		}
	}}
	s := show(ctx, t, cfg, view)
	if took := time.Since(interrupted); interrupted.IsZero() || took > 30*time.Second {
		t.Errorf("took %v to stop", took)
	}
	if err := os.Remove(s.Truth); err != nil {
		t.Error(err)
	}
}

// TestFilesArePlayed plays a cluster with every oddity that the generator knows.
func TestFilesArePlayed(t *testing.T) {
	dir := t.TempDir()
	o := generate.Defaults()
	if _, err := generate.Write(dir, o); err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.Input, cfg.Speed = dir, 2000
	s := show(t.Context(), t, cfg, &shown{})
	if s.Horizon.UnixMilli() < o.Start+o.Duration/2 || s.Truth != "" {
		t.Errorf("horizon %v of a cluster from %v for %d ms; truth %q", s.Horizon, time.UnixMilli(o.Start).UTC(), o.Duration, s.Truth)
	}
}

func TestConfig(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"":          func(*Config) {},
		"speed":     func(c *Config) { c.Speed = 0.5 },
		"for":       func(c *Config) { c.For = -time.Second },
		"gpus":      func(c *Config) { c.GPUs = -8 },
		"price":     func(c *Config) { c.Price = -1 },
		"speed: +I": func(c *Config) { c.Speed = math.Inf(1) },
	} {
		c := DefaultConfig()
		change(&c)
		if err := c.Validate(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// A node with a driver is what the demo is about, unless something is said that
// only a fleet can do.
func TestWhatTheDemoIsAbout(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		driver bool
		node   bool
		speed  float64
		gpus   int
	}{
		"no driver":       {func(*Config) {}, false, false, 60, 64},
		"no driver, live": {func(c *Config) { c.Speed = 1 }, false, false, 1, 64},
		"driver":          {func(*Config) {}, true, true, 1, 0},
		"driver, live":    {func(c *Config) { c.Speed = 1 }, true, true, 1, 0},
		"driver, faster":  {func(c *Config) { c.Speed = 30 }, true, false, 30, 64},
		"driver, a fleet": {func(c *Config) { c.GPUs, c.Speed = 8, 1 }, true, false, 1, 8},
		"driver, files":   {func(c *Config) { c.Input = "events" }, true, false, 60, 64},
	} {
		c := DefaultConfig()
		test.change(&c)
		if got, node := c.decided(test.driver); node != test.node || got.Speed != test.speed || got.GPUs != test.gpus {
			t.Errorf("%s: %v, %+v", name, node, got)
		}
	}
}

// What nobody has a price for gets one, before its resource.
func TestANodeHasAPriceThatStandsIn(t *testing.T) {
	var to taken
	p := &priced{Sink: &to, perGPU: 2_000_000_000}
	if err := p.Resource(schemas.Resource{Provider: provider, GPUs: []string{"a", "b"}, From: 5, PricingCategory: "owned"}); err != nil {
		t.Fatal(err)
	}
	want := schemas.Price{Provider: provider, PricingCategory: "owned", Currency: "USD", PerHour: 4_000_000_000, From: 5}
	if to.others != 2 || to.price != want {
		t.Errorf("%+v", to)
	}
}

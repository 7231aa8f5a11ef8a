package processor

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/processor/engine"
)

func TestDefaultRulesAreTheDesigns(t *testing.T) {
	r := DefaultRules()
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	got := r.Engine()
	if got.Window != 60_000 || got.Grace != 30_000 || got.EarlyEvery != 10_000 || got.KeepSamples != 45*86_400_000 || got.Epsilon != 10_000 || got.IdleMemory != 1<<30 {
		t.Errorf("%+v", got)
	}
	if _, err := engine.New(got); err != nil {
		t.Error(err)
	}
}

func TestEpsilonIsExactInMillionths(t *testing.T) {
	for share, want := range map[float64]uint32{0: 0, 0.05: 50_000, 0.29: 290_000, 0.000001: 1, 0.999999: 999_999, 1: 1_000_000} {
		r := DefaultRules()
		r.Idle.Epsilon = share
		if err := r.Validate(); err != nil || r.Engine().Epsilon != want {
			t.Errorf("%v: %d, %v", share, r.Engine().Epsilon, err)
		}
	}
}

func TestRefusedRules(t *testing.T) {
	for key, change := range map[string]func(*Rules){
		"window":        func(r *Rules) { r.Window = 7 * time.Minute },
		"window: 0s":    func(r *Rules) { r.Window = 0 },
		"window: 1.5ms": func(r *Rules) { r.Window = 1500 * time.Microsecond },
		"grace":         func(r *Rules) { r.Grace = -time.Second },
		"early.every":   func(r *Rules) { r.Early.Every = time.Microsecond },
		"state.samples": func(r *Rules) { r.State.Samples = time.Minute },
		"idle.epsilon":  func(r *Rules) { r.Idle.Epsilon = math.NaN() },
		"from 0 to 1":   func(r *Rules) { r.Idle.Epsilon = 1.01 },
		"six decimals":  func(r *Rules) { r.Idle.Epsilon = 0.0100005 },
	} {
		r := DefaultRules()
		change(&r)
		if err := r.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

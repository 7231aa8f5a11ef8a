package main

import (
	"slices"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/collector/fleet"
)

// TestQuality is a small version of what the command does: the goal holds, and the
// detectors that people write first fall behind it.
func TestQuality(t *testing.T) {
	o := options{gpus: 64, span: 6 * time.Hour, interval: 10 * time.Second}
	c, err := contend(o, 1)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, r := range c.contenders {
		s := c.truth.score(r.alerts)
		if err := s.judge(o.interval); (err == nil) != (i == 0) {
			t.Errorf("%s: %v (%d right, %v wrong, %v missed)", r.name, err, s.right, s.wrong, s.missed)
		}
		if i == 0 {
			right = s.right
		}
	}
	if right < 15 {
		t.Errorf("%d alerts are too few to judge by", right)
	}
}

func ms(v int64) *int64 { return &v }

// TestScore: what counts as right, wrong and missed.
func TestScore(t *testing.T) {
	const m = 60_000
	of := newTruth([]fleet.Truth{
		{ID: "a", Class: fleet.Stalled, Findings: []fleet.Expected{{ThresholdAt: ms(10 * m), ResolvedAt: ms(20 * m)}, {ThresholdAt: ms(40 * m)}}},
		{ID: "b", Class: fleet.Notebook, Findings: []fleet.Expected{{ResolvedAt: ms(30 * m)}, {ThresholdAt: ms(50 * m), ResolvedAt: ms(55 * m)}}},
		{ID: "late", Class: fleet.Finished, Findings: []fleet.Expected{{ThresholdAt: ms(59*m + 1)}}},
	}, 0, 60*m)
	for _, c := range []struct {
		name                 string
		alerts               []alert
		right, wrong, missed int
		worst                time.Duration
	}{
		{"nothing", nil, 0, 0, 3, 0},
		{"all, one of them late", []alert{{"b", 50 * m, 0}, {"a", 41 * m, 0}, {"a", 10 * m, 0}}, 3, 0, 0, time.Minute},
		{"one twice", []alert{{"b", 50 * m, 0}, {"b", 51 * m, 0}}, 1, 1, 2, 0},
		{"after it was over", []alert{{"b", 55 * m, 0}}, 0, 1, 3, 0},
		{"a little early", []alert{{"b", 50*m - 1000, 0}}, 1, 0, 2, time.Second},
		{"too early", []alert{{"b", 48 * m, 0}}, 0, 1, 3, 0},
		{"of a notice", []alert{{"b", 30 * m, 0}}, 0, 1, 3, 0},
		{"of nobody", []alert{{"c", 5 * m, 0}}, 0, 1, 3, 0},
		{"at the edge", []alert{{"late", 59*m + 1, 0}, {"c", 59 * m, 0}}, 0, 0, 3, 0},
		{"the second of two", []alert{{"a", 45 * m, 0}}, 1, 0, 2, 5 * time.Minute},
	} {
		s := of.score(c.alerts)
		if s.right != c.right || len(s.wrong) != c.wrong || len(s.missed) != c.missed {
			t.Errorf("%s: %d right, %v wrong, %v missed; want %d, %d, %d", c.name, s.right, s.wrong, s.missed, c.right, c.wrong, c.missed)
		}
		if got := time.Duration(s.at(1, time.Nanosecond)); got != c.worst {
			t.Errorf("%s: off by %v, want %v", c.name, got, c.worst)
		}
	}
}

func TestJudge(t *testing.T) {
	good := score{right: 99, wrong: make([]alert, 1), missed: make([]alert, 1), errors: []time.Duration{0, time.Second}}
	if err := good.judge(time.Second); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*score){
		"false alerts":  func(s *score) { s.wrong = make([]alert, 2) },
		"missed alerts": func(s *score) { s.missed = make([]alert, 2) },
		"late alerts":   func(s *score) { s.errors = append(slices.Clone(s.errors), 1001*time.Millisecond) },
	} {
		s := good
		change(&s)
		if s.judge(time.Second) == nil {
			t.Errorf("%s reach the goal", name)
		}
	}
}

// TestTimer: what activity resets it, and that it fires once.
func TestTimer(t *testing.T) {
	const m = 60_000
	blip, zero := newTimer(10_000), newTimer(0)
	for _, x := range []*timer{&blip, &zero} {
		x.since["a"] = 0
		for i := int64(0); i <= 120; i++ {
			activity := uint32(0)
			switch i {
			case 10:
				activity = 5_000 // hardly anything
			case 60:
				activity = 20_000
			}
			x.sample("a", i*m, activity)
		}
	}
	if want := []alert{{"a", 30 * m, 0}, {"a", 90 * m, 0}}; !slices.Equal(blip.alerts, want) {
		t.Errorf("the timer fires at %v, want %v", blip.alerts, want)
	}
	if want := []alert{{"a", 40 * m, 0}, {"a", 90 * m, 0}}; !slices.Equal(zero.alerts, want) {
		t.Errorf("exact zero fires at %v, want %v", zero.alerts, want)
	}
}

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestPlanIsItsSeeds(t *testing.T) {
	for seed := range uint64(20) {
		a, b := plan(seed, settingsOf(seed)), plan(seed, settingsOf(seed))
		if !slices.Equal(a, b) {
			t.Errorf("seed %d: %v and %v", seed, a, b)
		}
		if seed > 0 && slices.Equal(a, plan(seed-1, settingsOf(seed))) {
			t.Errorf("seeds %d and %d are one", seed-1, seed)
		}
	}
}

// Sixty seeds, what a long run is, do everything to everybody.
func TestPlansOfSixtySeeds(t *testing.T) {
	done := map[string]int{}
	for seed := range uint64(60) {
		s := settingsOf(seed + 1)
		faults := plan(seed+1, s)
		for _, f := range faults {
			done[string(f.kind)+" "+f.target]++
			if f.kind == freeze && f.length < forgotten {
				t.Errorf("seed %d: %s: shorter than the session timeout: nobody takes over", seed, f)
			}
			if f.at >= trouble {
				t.Errorf("seed %d: %s: begins when all is over", seed, f)
			}
		}
		must := []string{string(kill) + " " + collector}
		for _, sink := range s.storers() {
			must = append(must, string(kill)+" "+sink)
		}
		for _, want := range must {
			if !slices.ContainsFunc(faults, func(f fault) bool { return string(f.kind)+" "+f.target == want }) {
				t.Errorf("seed %d: no %s", seed, want)
			}
		}
	}
	var want []string
	for _, target := range []string{one, two} {
		want = append(want, string(kill)+" "+target, string(killBusy)+" "+target, string(freeze)+" "+target)
	}
	for _, target := range []string{collector, agentStage, sinkOne, sinkTwo} {
		want = append(want, string(freeze)+" "+target)
	}
	want = append(want, string(kill)+" "+agentStage, string(strand)+" "+agentStage, string(maroon)+" "+agentStage, string(kill)+" "+clickHouse, string(kill)+" "+kafkaNode)
	for _, link := range (settings{sinks: 2, spool: true}).links() {
		for _, k := range []kind{cut, resetOnce, hold, delay, throttle} {
			want = append(want, string(k)+" "+link)
		}
	}
	for _, w := range want {
		if done[w] == 0 {
			t.Errorf("never: %s", w)
		}
	}
}

func TestSummary(t *testing.T) {
	got := summary([]fault{{kind: kill, target: one}, {kind: cut, target: "one>kafka"}, {kind: kill, target: one}})
	if got != "2× kill one, cut one>kafka" || strings.Contains(got, "\t") {
		t.Errorf("%q", got)
	}
}

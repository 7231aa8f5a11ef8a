package main

import "testing"

// Thirty seeds meet each setting, and its absence.
func TestSettingsOfThirtySeeds(t *testing.T) {
	met := map[string]int{}
	for seed := range uint64(30) {
		s := settingsOf(seed + 1)
		if s != settingsOf(seed+1) {
			t.Errorf("seed %d: two settings", seed+1)
		}
		met[settings{sinks: s.sinks}.String()]++
		met[settings{sinks: 1, hot: s.hot}.String()+" archive"]++
		met[settings{sinks: 1, spool: s.spool}.String()+" spool"]++
		met[settings{sinks: 1, quarantine: s.quarantine}.String()+" quarantine"]++
	}
	if len(met) != 2+3+2+2 {
		t.Errorf("met %v", met)
	}
}

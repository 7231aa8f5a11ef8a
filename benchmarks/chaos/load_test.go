package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas/contract"
)

// lines counts the lines of files, without their headers.
func lines(t *testing.T, paths ...string) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // a portion may be without a file
		}
		first := strings.HasSuffix(path, ".csv")
		for line := range strings.Lines(string(text)) {
			if !first {
				all[line]++
			}
			first = false
		}
	}
	return all
}

// The portions, with what the agent says, hold what the oracle reads, nothing else
// and nothing less; and a seed makes the same of it twice.
func TestPortionsAreTheEvents(t *testing.T) {
	for _, agent := range []bool{false, true} {
		t.Run(fmt.Sprintf("agent %v", agent), func(t *testing.T) { portionsAreTheEvents(t, agent) })
	}
}

func portionsAreTheEvents(t *testing.T, agent bool) {
	l, err := prepare(t.TempDir(), 3, agent)
	if err != nil {
		t.Fatal(err)
	}
	again, err := prepare(t.TempDir(), 3, agent)
	if err != nil {
		t.Fatal(err)
	}
	agents := t.TempDir()
	if agent {
		if err := simulate(filepath.Join(agents, "said"), l.agentFleet()); err != nil {
			t.Fatal(err)
		}
	}
	events, twice := 0, 0
	for _, file := range contract.Files() {
		whole := lines(t, filepath.Join(l.dir, file.Name))
		dealt := lines(t, filepath.Join(agents, "said", file.Name))
		for i, dir := range l.portions {
			part := lines(t, filepath.Join(dir, file.Name))
			for line, n := range part {
				dealt[line] += n
			}
			if !maps.Equal(part, lines(t, filepath.Join(again.portions[i], file.Name))) {
				t.Errorf("%s of portion %d differs between two runs of one seed", file.Name, i)
			}
		}
		for line := range dealt {
			if whole[line] == 0 {
				t.Errorf("%s: %q was made up", file.Name, line)
			}
		}
		for line, n := range whole {
			events += n
			twice += dealt[line] - n
			if dealt[line] < n {
				t.Errorf("%s: %q is not dealt out", file.Name, line)
			}
		}
	}
	if events != l.events || twice != l.repeated || l.late == 0 || l.repeated == 0 || l.samples == 0 {
		t.Errorf("%d events, %d twice: it says %+v", events, twice, l)
	}
}

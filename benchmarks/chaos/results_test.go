package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResultsAreKnownAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "chaos.tsv")
	if none, err := known(file); err != nil || len(none) > 0 {
		t.Errorf("%v, %v", none, err)
	}
	for _, r := range []*result{
		{seed: 1, commit: "abc", faults: "kill one"},
		{seed: 2, commit: "abc", wrong: "ledger: 1\nviolation\tmore"},
	} {
		if err := note(file, r); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n != 3 || !strings.HasPrefix(string(text), header) {
		t.Errorf("%d lines:\n%s", n, text)
	}
	if got, err := known(file); err != nil || !maps.Equal(got, map[uint64]bool{1: true, 2: false}) {
		t.Errorf("%v, %v", got, err)
	}
	if err := os.WriteFile(file, []byte(header+"1\t7\tabc\tpass\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := known(file); err != nil || len(got) > 0 {
		t.Errorf("a result of another version counts: %v, %v", got, err)
	}
}

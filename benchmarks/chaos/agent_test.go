package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/benchmarks/chaos/proxy"
)

// scripted is an agent that says nothing, whose source is over when its truth is
// whole.
func scripted(t *testing.T) *agent {
	t.Helper()
	a := &agent{
		stage: script(t, "echo here; while :; do sleep 0.05; done"), truth: filepath.Join(t.TempDir(), "truth"),
		whole: int64(len("whole")), through: make(chan struct{}),
	}
	if _, err := a.stage.begin(); err != nil {
		t.Fatal(err)
	}
	begun(t, a.stage, 1)
	if err := os.WriteFile(a.truth, []byte("whole"), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// Behind a cut link an agent is ended once it has said everything, and its
// successor says nothing of it again.
func TestStrandedAgent(t *testing.T) {
	a := scripted(t)
	relay, err := proxy.Listen("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() })
	l := &link{Proxy: relay}
	p := &pipeline{links: map[string]*link{agentStage + arrow + kafkaNode: l}}
	whole := func(s string) bool { return strings.HasPrefix(s, "source.fleet.truth=") }
	if list := a.settings(p, &load{}); !slices.ContainsFunc(list, whole) {
		t.Errorf("settings %q", list)
	}
	if note, err := a.strand(t.Context(), l, a.stage.kill); note != "" || err != nil {
		t.Errorf("%q, %v", note, err)
	}
	if list := a.settings(p, &load{}); !a.stage.over() || slices.ContainsFunc(list, whole) {
		t.Errorf("over %v, then settings %q", a.stage.over(), list)
	}
	if note, err := a.strand(t.Context(), l, a.stage.kill); note == "" || err != nil {
		t.Errorf("stranded twice: %q, %v", note, err)
	}
}

// An agent that is just killed is followed by one that says everything again: its
// truth must not be taken for the successor's.
func TestKilledAgent(t *testing.T) {
	a := scripted(t)
	if err := a.kill(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(a.truth); !a.stage.over() || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("over %v, truth %v", a.stage.over(), err)
	}
}

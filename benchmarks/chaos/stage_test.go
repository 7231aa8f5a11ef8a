package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script is a stage that runs a shell script.
func script(t *testing.T, text string) *stage {
	t.Helper()
	s := &stage{name: "script", path: "/bin/sh", args: []string{"-c", text}, log: filepath.Join(t.TempDir(), "log")}
	t.Cleanup(func() {
		if s.run != nil {
			_ = s.kill()
		}
	})
	return s
}

// begun waits for the n-th line of a stage's log.
func begun(t *testing.T, s *stage, n int) {
	t.Helper()
	ok, err := awaitFor(t.Context(), time.Minute, func(context.Context) (bool, error) {
		text, _ := os.ReadFile(s.log) // may not be there yet
		return strings.Count(string(text), "\n") >= n, nil
	})
	if !ok || err != nil {
		t.Fatalf("no line %d: %v", n, err)
	}
}

// A stage that is killed comes back; one that is stopped ends.
func TestKeptStage(t *testing.T) {
	s := script(t, "trap 'exit 0' TERM; echo here; while :; do sleep 0.05; done")
	ctx, enough := context.WithCancel(t.Context())
	kept := make(chan error, 1)
	go func() { kept <- s.keep(ctx) }()
	begun(t, s, 1)
	if err := s.kill(); err != nil {
		t.Error(err)
	}
	begun(t, s, 2)
	if err := s.freeze(); err != nil {
		t.Error(err)
	}
	if err := s.kill(); err != nil { // frozen or not
		t.Error(err)
	}
	begun(t, s, 3)
	enough()
	if err := <-kept; err != nil {
		t.Error(err)
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
}

// A stage that ends by itself is a failure that says why.
func TestStageThatGivesUp(t *testing.T) {
	for text, want := range map[string]string{"echo out of luck; exit 3": "out of luck", "exit 0": "before it was told to"} {
		if err := script(t, text).keep(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

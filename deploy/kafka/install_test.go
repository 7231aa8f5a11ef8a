package kafka

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestInstalledOnceByManyAtOnce(t *testing.T) {
	cache := t.TempDir()
	calls := 0 // the lock guards it
	fetch := func(_ context.Context, into string) error {
		calls++
		return os.WriteFile(filepath.Join(into, "jar"), []byte("whole"), 0o600)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			dir, err := home(t.Context(), cache, fetch)
			if err != nil {
				t.Error(err)
				return
			}
			if text, err := os.ReadFile(filepath.Join(dir, "jar")); err != nil || string(text) != "whole" {
				t.Errorf("%q, %v", text, err)
			}
		})
	}
	all.Wait()
	if calls != 1 {
		t.Errorf("fetched %d times", calls)
	}
}

func TestFailedFetchLeavesNothing(t *testing.T) {
	cache := t.TempDir()
	refused := errors.New("refused")
	_, err := home(t.Context(), cache, func(_ context.Context, into string) error {
		return errors.Join(refused, os.WriteFile(filepath.Join(into, "half"), nil, 0o600))
	})
	if !errors.Is(err, refused) {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(cache, "kafka-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := java(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "apt-get") {
		t.Error(err)
	}
	if err := mavenCopy(t.Context(), t.TempDir()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "mvn") {
		t.Error(err)
	}
}

func TestVersionsOfJava(t *testing.T) {
	for said, want := range map[string]int{
		`openjdk version "17.0.15" 2025-04-15`: 17, `openjdk version "25" 2025-09-16`: 25,
		`java version "1.8.0_402"`: 1, "no java here": 0,
	} {
		if got := javaMajor(said); got != want {
			t.Errorf("%s: %d, want %d", said, got, want)
		}
	}
}

func TestPomIsOfTheVersion(t *testing.T) {
	if !strings.Contains(string(pom), "<version>"+Version+"</version>") {
		t.Errorf("pom.xml does not fetch Kafka %s", Version)
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for reason, o := range map[string]Options{
		"no directory": {}, "not empty": {Dir: full}, "2 nodes": {Dir: t.TempDir(), Nodes: 2},
		"must not be empty": {Dir: t.TempDir(), Security: &Security{Users: []User{{Name: "a"}}}},
		"nor contain":       {Dir: t.TempDir(), Security: &Security{Users: []User{{Name: "a", Password: "b]c"}}}},
	} {
		if _, err := o.validate(); err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("%v, want %q", err, reason)
		}
	}
}

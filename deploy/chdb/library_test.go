package chdb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakePack "downloads" a file of the given content and counts the calls.
func fakePack(content string, calls *int) func(context.Context, string) (string, error) {
	return func(_ context.Context, into string) (string, error) {
		*calls++ // the library's lock guards it
		path := filepath.Join(into, "package.tgz")
		return path, os.WriteFile(path, []byte(content), 0o600)
	}
}

func TestWrongChecksumIsRefusedAndLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	calls := 0
	_, err := library(t.Context(), dir, fakePack("not the package", &calls))
	if err == nil || !strings.Contains(err.Error(), "SHA-256") || !strings.Contains(err.Error(), "npm cache clean") {
		t.Errorf("error %v names neither the checksum nor the fix", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		if filepath.Base(path) != "fetch.lock" {
			t.Errorf("%s was left behind", path)
		}
	}
}

func TestLibraryInPlaceIsNotFetched(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, libraryFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(librarySize), f.Close()); err != nil {
		t.Fatal(err)
	}
	calls := 0
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if _, err := library(t.Context(), dir, fakePack("", &calls)); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if calls != 0 {
		t.Errorf("fetched %d times", calls)
	}
}

func TestMissingNPMNamesTheFix(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := npmPack(t.Context(), t.TempDir())
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "--clickhouse DSN") {
		t.Errorf("error %v names no fix", err)
	}
}

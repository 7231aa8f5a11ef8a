package lock

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

func TestLockIsExclusiveAndObeysTheContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := File(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := File(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("second lock: %v, want canceled", err)
	}
	if _, err := Try(path); !errors.Is(err, ErrHeld) {
		t.Errorf("second lock at once: %v, want %v", err, ErrHeld)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := File(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

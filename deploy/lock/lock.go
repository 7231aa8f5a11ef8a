// Package lock holds a file's exclusive lock, for what only one process at a
// time may do. It says nothing about threads of one process.
package lock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrHeld is wrapped by the error of Try when somebody has the lock.
var ErrHeld = errors.New("another has the lock")

// Try takes the exclusive lock of path, which is made when missing.
// The lock lasts until every process that has the returned file open closes
// it, or dies.
func Try(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case err == nil:
		return f, nil
	case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, syscall.EINTR):
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, ErrHeld), f.Close())
	default:
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
}

// File is Try that waits for the lock until ctx ends.
func File(ctx context.Context, path string) (*os.File, error) {
	poll := time.NewTicker(20 * time.Millisecond) // flock cannot be awaited together with a context
	defer poll.Stop()
	for {
		f, err := Try(path)
		if !errors.Is(err, ErrHeld) {
			return f, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("lock %s: %w", path, ctx.Err())
		case <-poll.C:
		}
	}
}

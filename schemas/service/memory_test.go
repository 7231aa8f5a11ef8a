package service

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// kept is what a process is told that it keeps to, and what its runtime does.
func kept(t *testing.T, limit int64) (told, keeps int64) {
	t.Helper()
	cfg := DefaultConfig(0)
	cfg.HTTP.Listen, cfg.Memory.Limit = "", limit
	err := Run(t.Context(), "t", cfg, io.Discard, func(_ context.Context, p *Process) error {
		told, keeps = p.Memory, debug.SetMemoryLimit(-1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return told, keeps
}

func TestMemoryLimitIsKeptTo(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Setenv("GOMEMLIMIT", "")
	if told, keeps := kept(t, 1<<30); told != 1<<30 || keeps != 1<<30 {
		t.Errorf("told %d, keeps to %d", told, keeps)
	}
	if now := debug.SetMemoryLimit(-1); now != before {
		t.Errorf("%d stays behind, not %d", now, before)
	}
	// Without one, what the container may take counts, if it is limited.
	container, err := memlimit.FromCgroup()
	told, keeps := kept(t, 0)
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		if told != 0 || keeps != before {
			t.Errorf("without any limit: told %d, keeps to %d", told, keeps)
		}
	case err != nil:
		t.Logf("the container's limit cannot be told: %v", err)
	case told != int64(min(container, math.MaxInt64))/10*9 || told != keeps:
		t.Errorf("in a container of %d: told %d, keeps to %d", container, told, keeps)
	}
}

// Whoever sets the runtime's own variable means it.
func TestRuntimesMemoryLimitCounts(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	t.Setenv("GOMEMLIMIT", "2GiB")
	debug.SetMemoryLimit(2 << 30) // as the runtime does at the start
	for limit, want := range map[int64]int64{0: 2 << 30, 1 << 30: 1 << 30} {
		if told, keeps := kept(t, limit); told != want || keeps != want {
			t.Errorf("with memory.limit %d: told %d, keeps to %d", limit, told, keeps)
		}
	}
	t.Setenv("GOMEMLIMIT", "off")
	debug.SetMemoryLimit(math.MaxInt64)
	if told, _ := kept(t, 0); told != 0 {
		t.Errorf("off: told %d", told)
	}
}

func TestMemoryLimitsThatCannotBe(t *testing.T) {
	for limit, ok := range map[int64]bool{0: true, -1: false, leastMemory - 1: false, leastMemory: true} {
		c := DefaultConfig(0)
		c.Memory.Limit = limit
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%d: %v", limit, err)
		}
	}
}

package service

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// Memory bounds what the process takes.
type Memory struct {
	Limit int64 `koanf:"limit" doc:"bytes that this process may take: it collects garbage more often to keep to it, and a processor that comes near reads no further; 0 = GOMEMLIMIT, else nine tenths of what the container may take, else none"`
}

// leastMemory is what no binary runs in.
const leastMemory = 16 << 20

func (m Memory) validate() error {
	if m.Limit < 0 || m.Limit > 0 && m.Limit < leastMemory {
		return fmt.Errorf("memory.limit: %d is less than %d bytes, in which no gpumeter runs; 0 = what the container may take", m.Limit, leastMemory)
	}
	return nil
}

// keep has the runtime keep to the limit until restore is called, and returns it;
// 0 = there is none. The runtime does not count the program's code and what C code
// takes: so a tenth of the container is left.
func (m Memory) keep(log *slog.Logger) (limit int64, restore func()) {
	before := debug.SetMemoryLimit(-1)
	limit, from := m.Limit, "memory.limit"
	if set := os.Getenv("GOMEMLIMIT"); limit == 0 && set != "" {
		limit, from = before, "GOMEMLIMIT"
	} else if limit == 0 {
		limit, from = ofContainer(log), "nine tenths of the container's"
	}
	if limit == 0 || limit == math.MaxInt64 {
		return 0, func() {}
	}
	debug.SetMemoryLimit(limit)
	log.Info("memory is limited", "bytes", limit, "by", from)
	return limit, func() { debug.SetMemoryLimit(before) }
}

// ofContainer is nine tenths of what the container may take, 0 = all there is.
func ofContainer(log *slog.Logger) int64 {
	all, err := memlimit.FromCgroup()
	switch {
	case errors.Is(err, memlimit.ErrNoLimit), errors.Is(err, memlimit.ErrNoCgroup), errors.Is(err, memlimit.ErrCgroupsNotSupported):
		return 0
	case err != nil:
		log.Warn("how much memory the container may take cannot be told; set memory.limit", "error", err)
		return 0
	}
	return int64(min(all, math.MaxInt64)) / 10 * 9
}

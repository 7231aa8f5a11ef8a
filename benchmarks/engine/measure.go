package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// A result is what a stage cost: CPU time of the process, all threads, garbage
// collection included, and allocations.
type result struct {
	rows    int
	cpu     time.Duration
	mallocs uint64
}

func (r result) perSecond() float64   { return float64(r.rows) / r.cpu.Seconds() }
func (r result) nanos() float64       { return float64(r.cpu.Nanoseconds()) / float64(r.rows) }
func (r result) allocations() float64 { return float64(r.mallocs) / float64(r.rows) }

// measure runs one stage once over all rows.
func measure(rows int, stage func() error) (result, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, err := cpu()
	if err != nil {
		return result{}, err
	}
	if err := stage(); err != nil {
		return result{}, err
	}
	end, err := cpu()
	if err != nil {
		return result{}, err
	}
	runtime.ReadMemStats(&after)
	return result{rows, end - start, after.Mallocs - before.Mallocs}, nil
}

func cpu() (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, fmt.Errorf("CPU time of the process: %w", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

func print(name string, r result) {
	fmt.Printf("%-14s %8.2f M samples per CPU-second %8.1f ns a sample %8.4f allocations a row\n",
		name, r.perSecond()/1e6, r.nanos(), r.allocations())
}

package main

import (
	"fmt"
	"runtime"
	"syscall"
	"time"
)

// A result is what a stage cost: CPU time of the process, all threads, garbage
// collection included, and allocations. The best minute stands beside the mean
// because other work on the machine takes caches and memory from this one.
type result struct {
	rows    int
	cpu     time.Duration
	best    float64 // ns a sample in the cheapest simulated minute
	mallocs uint64
}

func (r result) nanos() float64       { return float64(r.cpu.Nanoseconds()) / float64(r.rows) }
func (r result) allocations() float64 { return float64(r.mallocs) / float64(r.rows) }

// measure runs a stage minute by minute over the measured part of the fleet. A
// stage takes the seconds [from, to).
func (f *fleet) measure(stage func(from, to int) error) (result, error) {
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := result{rows: f.samples}
	for from := f.warm; from+60 <= len(f.arrived); from += 60 {
		start, err := cpu()
		if err != nil {
			return result{}, err
		}
		if err := stage(from, from+60); err != nil {
			return result{}, err
		}
		end, err := cpu()
		if err != nil {
			return result{}, err
		}
		r.cpu += end - start
		rows := (f.arrived[from+59] - f.arrived[from-1]) * rowsOfMessage
		if ns := float64((end - start).Nanoseconds()) / float64(rows); r.best == 0 || ns < r.best {
			r.best = ns
		}
	}
	runtime.ReadMemStats(&after)
	r.mallocs = after.Mallocs - before.Mallocs
	return r, nil
}

func cpu() (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, fmt.Errorf("CPU time of the process: %w", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

func show(name string, r result) {
	fmt.Printf("%-20s %8.2f %10.1f %12.2f %10.1f %14.4f\n", name, 1e3/r.nanos(), r.nanos(), 1e3/r.best, r.best, r.allocations())
}

// Command restore measures how long the processor's engine takes to begin with its
// archive: live allocations, each holding a GPU, from a directory to the horizon at
// which the engine before it stopped. Beside it stands, from the same run, an engine
// that is fed the same events from memory, which is what a restart without an archive
// costs after Kafka has delivered and the messages are decoded.
//
//	go run ./benchmarks/restore
//
// What Kafka has to deliver for a restart, reference events and hot samples, it does
// not measure.
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
)

const (
	begin  = 1_780_275_600_000 // 2026-06-01T01:00:00Z
	hour   = 3_600_000
	onNode = 8
	now    = begin + 3*hour + 10_000
	later  = now + hour/4
)

func main() {
	keys := flag.Int("keys", 1_000_000, "live allocations, each on a GPU of its own")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the restoring here")
	flag.Parse()
	if err := run(*keys, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "restore:", err)
		os.Exit(1)
	}
}

func run(keys int, profile string) error {
	dir, err := os.MkdirTemp("", "gpumeter-restore-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fed, err := write(dir, keys)
	if err != nil {
		return err
	}
	runtime.GC()
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	loaded, placed, err := restore(dir, keys)
	if err != nil {
		return err
	}
	fmt.Printf("%d live allocations, CPU time (and time)\n", keys)
	fmt.Printf("fed from memory          %v\nread from the archive    %v\nplaced                   %v\n", fed, loaded, placed)
	return nil
}

func open(dir string) (*archive.Disk, *engine.Engine, error) {
	d, err := archive.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, nil, err
	}
	e, err := engine.New(engine.Config{
		Window: 60_000, Grace: 30_000, EarlyEvery: 10_000, KeepSamples: 45 * 24 * hour, Epsilon: 10_000, IdleMemory: 1 << 30, Archive: d, Hot: hour,
	})
	return d, e, err
}

func name(kind string, i int) string { return fmt.Sprintf("%s-%07d", kind, i) }

// addResources gives e what a restart reads from the topic of resources.
func addResources(e *engine.Engine, keys int) {
	for n := range (keys + onNode - 1) / onNode {
		r := schemas.Resource{Node: name("node", n), Resource: name("i", n), Provider: "aws", SKU: "p5", PricingCategory: "spot", From: begin, Scheduler: true, IdleWatts: schemas.Absent32}
		for k := range onNode {
			r.GPUs = append(r.GPUs, name("gpu", n*onNode+k))
		}
		e.AddResource(&r)
	}
	e.AddPrice(&schemas.Price{Provider: "aws", SKU: "p5", PricingCategory: "spot", Currency: "USD", PerHour: 98_320_000_000, From: begin})
}

// A span is the CPU time of the process, all threads, and the time on the wall, on
// which other work on the machine has its share.
type span struct{ cpu, wall time.Duration }

func (s span) String() string {
	return fmt.Sprintf("%6.2f s (%6.2f s)", s.cpu.Seconds(), s.wall.Seconds())
}

// since is a span that began with another one's end.
func since(began time.Time, before time.Duration) span {
	return span{cpu() - before, time.Since(began)}
}

func cpu() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// write runs an engine to where its archive holds the allocations. It measures the
// engine's own work.
func write(dir string, keys int) (span, error) {
	d, e, err := open(dir)
	if err != nil {
		return span{}, err
	}
	started, before := time.Now(), cpu()
	addResources(e, keys)
	for i := range keys {
		e.AddAllocation(&schemas.Allocation{
			TS: begin + int64(i%7_200_000), Event: schemas.EventStart, Allocation: name("slurm/c1", i), HasGPUs: true, User: name("user", i%500), Name: "train",
			GPUs:      []schemas.GPURef{{Node: name("node", i/onNode), GPU: name("gpu", i)}},
			HasLabels: true, Labels: []schemas.Label{{Key: "phase", Value: "train"}, {Key: "slurm_job_id", Value: name("", i)}}, ReqGPUs: 1, ReqWalltime: -1,
		})
	}
	e.Advance(now, false, nil)
	fed := since(started, before)
	for h := int64(now); h <= later; h += 60_000 { // for each GPU to have had its turn
		e.Advance(h, false, nil)
	}
	return fed, errors.Join(e.Err(), d.Commit([]byte("benchmark")), d.Close())
}

// restore begins with the archive.
func restore(dir string, keys int) (loaded, placed span, err error) {
	started, before := time.Now(), cpu()
	d, e, err := open(dir)
	if err != nil {
		return loaded, placed, err
	}
	loaded = since(started, before)
	started, before = time.Now(), cpu()
	addResources(e, keys)
	e.Advance(later, false, nil)
	return loaded, since(started, before), errors.Join(e.Err(), d.Close())
}

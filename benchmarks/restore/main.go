// Command restore measures how long a processor's engines take to begin with their
// archives: live allocations, each holding a GPU, from a directory for each partition
// to the horizon at which the engines before stopped, as many engines at a time as
// there are processors. Beside it stand, from the same run, engines that are fed the
// same events from memory, one after the other, which is what a restart without
// archives costs after Kafka has delivered and the messages are decoded.
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
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

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
	partitions := flag.Int("partitions", 8, "engines that share them")
	profile := flag.String("cpuprofile", "", "write a CPU profile of the restoring here")
	flag.Parse()
	if err := run(*keys, *partitions, *profile); err != nil {
		fmt.Fprintln(os.Stderr, "restore:", err)
		os.Exit(1)
	}
}

func run(keys, partitions int, profile string) error {
	dir, err := os.MkdirTemp("", "gpumeter-restore-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	parts := make([]part, partitions)
	for i := range parts {
		parts[i] = part{filepath.Join(dir, strconv.Itoa(i)), i * keys / partitions, (i + 1) * keys / partitions}
	}
	var fed span
	for _, p := range parts {
		took, err := p.write()
		if err != nil {
			return err
		}
		fed = span{fed.cpu + took.cpu, fed.wall + took.wall}
		runtime.GC()
	}
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
	loaded, placed, err := restore(parts)
	if err != nil {
		return err
	}
	fmt.Printf("%d live allocations in %d partitions, CPU time (and time)\n", keys, partitions)
	fmt.Printf("fed from memory          %v\nread from the archive    %v\nplaced                   %v\n", fed, loaded, placed)
	return nil
}

// A part is the keys of one partition, and the directory of its archive.
type part struct {
	dir      string
	from, to int
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
func (p part) addResources(e *engine.Engine) {
	for n := p.from / onNode; n < (p.to+onNode-1)/onNode; n++ {
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
func (p part) write() (span, error) {
	d, e, err := open(p.dir)
	if err != nil {
		return span{}, err
	}
	started, before := time.Now(), cpu()
	p.addResources(e)
	for i := p.from; i < p.to; i++ {
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

// restore begins with the archives, as processor/meter does.
func restore(parts []part) (loaded, placed span, err error) {
	disks, engines := make([]*archive.Disk, len(parts)), make([]*engine.Engine, len(parts))
	loaded, err = beside(len(parts), func(i int) (err error) {
		disks[i], engines[i], err = open(parts[i].dir)
		return err
	})
	if err != nil {
		return loaded, placed, err
	}
	placed, err = beside(len(parts), func(i int) error {
		parts[i].addResources(engines[i])
		engines[i].Advance(later, false, nil)
		return errors.Join(engines[i].Err(), disks[i].Close())
	})
	return loaded, placed, err
}

// beside does f for each partition, as many at a time as there are processors.
func beside(n int, f func(i int) error) (span, error) {
	started, before := time.Now(), cpu()
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		all.Go(func() error { return f(i) })
	}
	err := all.Wait()
	return since(started, before), err
}

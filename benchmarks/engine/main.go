// Command engine measures the processor's engine on one thread: samples of a fleet
// at 1 Hz go from wire bytes to encoded cost facts, with holds that change, prices
// of many rows and tag rules. Beside it stand, from the same run, decoding alone
// and a memory copy of the same bytes. It measures no Kafka.
//
//	go run ./benchmarks/engine            a table
//	go run ./benchmarks/engine -check     fails below what the project promises
package main

import (
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/gpumeter/gpumeter/processor/archive"
)

func main() {
	var o options
	flag.IntVar(&o.nodes, "nodes", 2000, "nodes of 8 GPUs")
	flag.IntVar(&o.seconds, "seconds", 300, "simulated seconds that are measured, whole minutes")
	flag.IntVar(&o.keep, "keep", 240, "seconds for which samples are kept; so long the engine runs before it is measured")
	flag.Int64Var(&o.early, "early", 10_000, "early results every so many ms in the second run of the engine")
	flag.BoolVar(&o.check, "check", false, "fail below 4 M samples per CPU-second, above 100 ns a sample after decoding or 0.05 allocations a row")
	flag.StringVar(&o.profile, "cpuprofile", "", "write CPU profiles of the whole engine here")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

type options struct {
	nodes, seconds, keep int
	early                int64
	check                bool
	archive              *archive.Disk
	profile              string
}

func run(o options) error {
	runtime.GOMAXPROCS(1)
	f, err := newFleet(o.nodes, o.keep+warm, o.seconds)
	if err != nil {
		return fmt.Errorf("build the fleet: %w", err)
	}
	fmt.Printf("%d nodes x 8 GPUs x %d s at 1 Hz: %d samples in %d messages of 80 rows, %.1f bytes a sample; %d allocation events, %d prices, %d tags\n\n",
		o.nodes, o.seconds, f.samples, len(f.messages.ends)-f.arrived[f.warm-1], float64(f.bytes)/float64(f.samples), len(f.allocations), len(f.prices), len(f.tags))
	copied, err := f.measure(f.copyBytes)
	if err != nil {
		return err
	}
	decoded, err := f.measure(f.decode)
	if err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	archived, _, err := f.measureArchived(o)
	if err != nil {
		return fmt.Errorf("engine with an archive: %w", err)
	}
	whole, facts, err := f.measureEngine(o, 0)
	if err != nil {
		return fmt.Errorf("whole engine: %w", err)
	}
	early, earlyFacts, err := f.measureEngine(o, o.early)
	if err != nil {
		return fmt.Errorf("whole engine with early results: %w", err)
	}
	fmt.Printf("%-20s %19s %23s %14s\n%-20s %8s %10s %12s %10s %14s\n", "", "mean", "best minute", "",
		"CPU time", "M/s", "ns/sample", "M/s", "ns/sample", "allocs/sample")
	show("memory copy", copied)
	show("decode alone", decoded)
	show("whole engine", whole)
	show("with an archive", archived)
	show("with early results", early)
	fmt.Printf("\nafter decoding %.0f ns a sample (best minute %.0f), with early results every %d ms %.0f (%.0f); facts a GPU-minute %.2f and %.2f\n",
		whole.nanos()-decoded.nanos(), whole.best-decoded.best, o.early, early.nanos()-decoded.nanos(), early.best-decoded.best, facts, earlyFacts)
	if !o.check {
		return nil
	}
	return judge(whole, decoded)
}

// measureEngine runs a warm engine from wire bytes to encoded facts, and counts the
// facts a GPU-minute. early is 0 for final facts only.
func (f *fleet) measureEngine(o options, early int64) (result, float64, error) {
	r, err := newRunner(f, o, early)
	if err != nil {
		return result{}, 0, err
	}
	if o.profile != "" {
		stop, err := profile(fmt.Sprintf("%s.%d", o.profile, early))
		if err != nil {
			return result{}, 0, err
		}
		defer stop()
	}
	got, err := f.measure(r.run)
	return got, float64(r.out.facts) / (float64(f.samples) / 60), err
}

// measureArchived is measureEngine with an archive on disk. Its chunks are minutes,
// where they are hours in a processor: what a key costs shows here sixtyfold.
func (f *fleet) measureArchived(o options) (result, float64, error) {
	dir, err := os.MkdirTemp("", "gpumeter-engine-*")
	if err != nil {
		return result{}, 0, err
	}
	defer os.RemoveAll(dir)
	d, err := archive.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		return result{}, 0, err
	}
	if o.archive = d; o.profile != "" {
		o.profile += ".archive"
	}
	got, facts, err := f.measureEngine(o, 0)
	return got, facts, errors.Join(err, d.Close())
}

// profile writes a CPU profile until stop is called.
func profile(path string) (stop func(), err error) {
	w, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(w); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := w.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "engine: profile:", err)
		}
	}, nil
}

// judge holds the best minutes against what the project promises.
func judge(whole, decoded result) error {
	after := whole.best - decoded.best
	switch {
	case whole.best > 250:
		return fmt.Errorf("%.2f M samples per CPU-second, 4 are promised", 1e3/whole.best)
	case after > 100:
		return fmt.Errorf("%.0f ns a sample after decoding, 100 are promised", after)
	case whole.allocations() > 0.05:
		return fmt.Errorf("%.3f allocations a row, 0.05 are promised", whole.allocations())
	}
	return nil
}

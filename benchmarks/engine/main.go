// Command engine measures the processor's engine on one thread: samples of a fleet
// at 1 Hz go from wire bytes to encoded cost facts, with holds that change, prices
// of many rows and tag rules. Beside it stand, from the same run, decoding alone
// and a memory copy of the same bytes. It measures no Kafka.
//
//	go run ./benchmarks/engine            a table
//	go run ./benchmarks/engine -check     fails below what the project promises
package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
)

func main() {
	var o options
	flag.IntVar(&o.nodes, "nodes", 2000, "nodes of 8 GPUs")
	flag.IntVar(&o.seconds, "seconds", 300, "simulated seconds that are measured")
	flag.IntVar(&o.keep, "keep", 240, "seconds for which samples are kept; so long the engine runs before it is measured")
	flag.Int64Var(&o.early, "early", 10_000, "early results every so many ms, 0 = none")
	flag.BoolVar(&o.check, "check", false, "fail below 4 M samples per CPU-second, above 100 ns a sample after decoding or 0.05 allocations a row")
	flag.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of the whole engine here")
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
	profile              string
}

func run(o options) error {
	runtime.GOMAXPROCS(1)
	f, err := newFleet(o.nodes, o.keep+warm, o.seconds)
	if err != nil {
		return fmt.Errorf("build the fleet: %w", err)
	}
	fmt.Printf("%d nodes x 8 GPUs x %d s at 1 Hz: %d samples in %d messages of 80 rows, %.1f bytes a sample; %d allocation events, %d prices, %d tags\n\n",
		o.nodes, o.seconds, f.samples, len(f.records), float64(f.bytes)/float64(f.samples), len(f.allocations), len(f.prices), len(f.tags))
	copied, err := measure(f.samples, f.copyBytes)
	if err != nil {
		return err
	}
	decoded, err := measure(f.samples, f.decode)
	if err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	r, err := newRunner(f, o)
	if err != nil {
		return fmt.Errorf("warm up: %w", err)
	}
	if o.profile != "" {
		w, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer w.Close()
		if err := pprof.StartCPUProfile(w); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	whole, err := measure(f.samples, func() error { return r.run(f.warm, len(f.arrived)) })
	if err != nil {
		return fmt.Errorf("whole engine: %w", err)
	}
	facts, outBytes := r.out.facts, r.out.bytes
	print("memory copy", copied)
	print("decode alone", decoded)
	print("whole engine", whole)
	after := whole.nanos() - decoded.nanos()
	fmt.Printf("\nafter decoding: %.0f ns a sample; %d facts, %.2f a GPU-minute, %.0f bytes each\n",
		after, facts, float64(facts)/(float64(o.nodes*8*o.seconds)/60), float64(outBytes)/float64(max(1, facts)))
	if !o.check {
		return nil
	}
	return judge(whole, after)
}

// judge holds the figures against what the project promises.
func judge(whole result, after float64) error {
	switch {
	case whole.perSecond() < 4e6:
		return fmt.Errorf("%.2f M samples per CPU-second, 4 are promised", whole.perSecond()/1e6)
	case after > 100:
		return fmt.Errorf("%.0f ns a sample after decoding, 100 are promised", after)
	case whole.allocations() > 0.05:
		return fmt.Errorf("%.3f allocations a row, 0.05 are promised", whole.allocations())
	}
	return nil
}

// Command quality scores the idle detector against fleets whose truth is known: a
// day of 504 GPUs for each of five seeds goes through the processor's engine and
// the detector as fast as they take it, and what they announce is held against
// what the fleet's scripts say. Beside it stand, on the same samples, two
// detectors that people write first. It measures no Kafka and no Slack.
//
//	go run ./benchmarks/quality            a table; fails below the goal
//
// An alert is right when the truth has one of the same allocation that is not over
// by then. Alerts of the last minute count on neither side: there the samples that
// decide may be missing.
package main

import (
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	o := options{}
	flag.IntVar(&o.seeds, "seeds", 5, "fleets, seeded 1, 2, 3, ...")
	flag.IntVar(&o.gpus, "gpus", 504, "GPUs of each, in nodes of 8")
	flag.DurationVar(&o.span, "span", 24*time.Hour, "simulated time of each")
	flag.DurationVar(&o.interval, "interval", 10*time.Second, "simulated time between two samples of a GPU")
	flag.BoolVar(&o.verbose, "v", false, "print every alert that is missed, false, or late")
	flag.Parse()
	if err := run(o); err != nil {
		fmt.Fprintln(os.Stderr, "quality:", err)
		os.Exit(1)
	}
}

type options struct {
	seeds, gpus    int
	span, interval time.Duration
	verbose        bool
}

// The goal, of every seed.
const (
	leastPrecision = 0.99
	leastRecall    = 0.99
	largestError   = 1.0 // intervals
)

func run(o options) error {
	fmt.Printf("%d fleets of %d GPUs, %v each, a sample every %v\n\n%-5s %-28s %7s %7s %7s %10s %8s %11s %11s\n", o.seeds, o.gpus, o.span, o.interval,
		"seed", "detector", "right", "false", "missed", "precision", "recall", "error p50", "error max")
	var failed error
	classes := newTally()
	for seed := 1; seed <= o.seeds; seed++ {
		c, err := contend(o, uint64(seed))
		if err != nil {
			return fmt.Errorf("seed %d: %w", seed, err)
		}
		classes.fleet(c.truth)
		for i, r := range c.contenders {
			s := c.truth.score(r.alerts)
			show(seed, r.name, s, o.interval)
			classes.score(i, c.truth, s)
			if o.verbose {
				s.explain(os.Stdout)
			}
			if err := s.judge(o.interval); i == 0 && err != nil {
				failed = fmt.Errorf("seed %d: %w", seed, err)
			}
		}
	}
	classes.show(os.Stdout)
	return failed
}

func show(seed int, name string, s score, interval time.Duration) {
	fmt.Printf("%-5d %-28s %7d %7d %7d %10.4f %8.4f %8.2f iv %8.2f iv\n", seed, name, s.right, len(s.wrong), len(s.missed),
		s.precision(), s.recall(), s.at(0.5, interval), s.at(1, interval))
}

// Command agent measures what the collector costs a GPU node: gpumeter-collector
// as it is shipped, over a fake libnvidia-ml with 8 busy GPUs sampled each second
// and 10 processes on each, publishing to a broker in this process, whose work
// is not counted. Beside it, in the same run, stands node_exporter 1.12.1,
// scraped each second and each 15 seconds. All three serve their metrics to a
// scraper; the agent is scraped each 15 seconds.
//
// The calls of the fake library cost about nothing; a real driver's are its own,
// and docs/collector.md says what is known of them.
//
//	go run ./benchmarks/agent            a table
//	go run ./benchmarks/agent -check     fails above 0.2 % of a core or 40 MB
//
// It needs gcc, and the network once, to build node_exporter.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/gpumeter/gpumeter/deploy/broker"
)

// What the project promises of a node's agent.
const (
	maxPercent = 0.2
	maxRSS     = 40e6
)

type options struct {
	gpus, processes int
	warm, measured  time.Duration
	exporter        string
	check           bool
}

func main() {
	var o options
	flag.IntVar(&o.gpus, "gpus", 8, "GPUs of the node")
	flag.IntVar(&o.processes, "processes", 10, "processes on each GPU")
	flag.DurationVar(&o.warm, "warm", 15*time.Second, "time before it is measured")
	flag.DurationVar(&o.measured, "for", time.Minute, "time that is measured")
	flag.StringVar(&o.exporter, "node-exporter", "", "a node_exporter that is built already; empty = build "+exporterVersion)
	flag.BoolVar(&o.check, "check", false, "fail above 0.2 % of a core or 40 MB")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "gpumeter-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	kafka, err := broker.Start(broker.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kafka.Stop()) }()

	var all []*service
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.stop())
		}
	}()
	agent, err := startAgent(ctx, o, dir, kafka.String())
	if err != nil {
		return err
	}
	all = append(all, agent)
	exporters, missing := startExporters(ctx, o, dir)
	all = append(all, exporters...)
	if err := measure(ctx, o, all); err != nil {
		return err
	}
	rows, err := agent.acknowledged()
	if err != nil {
		return err
	}
	report(o, all, missing, rows)
	return judge(o, agent, rows)
}

// judge makes sure that the agent did its work, and that it is as light as is
// promised if that is asked.
func judge(o options, agent *service, rows map[string]float64) error {
	seconds := (o.warm + o.measured).Seconds()
	if want := float64(o.gpus) * seconds * 0.9; rows["samples"] < want {
		return fmt.Errorf("%.0f samples were acknowledged, of about %.0f: the figures are of an agent that did not work", rows["samples"], want/0.9)
	}
	if want := float64(o.gpus*o.processes) * seconds / 5 * 0.8; rows["processes"] < want {
		return fmt.Errorf("%.0f rows of processes were acknowledged, less than %.0f", rows["processes"], want)
	}
	if o.check && (agent.percent() >= maxPercent || agent.rss >= maxRSS) {
		return fmt.Errorf("the agent takes %.3f %% of a core and %.1f MB: more than %.1f %% or %.0f MB", agent.percent(), agent.rss/1e6, maxPercent, maxRSS/1e6)
	}
	return nil
}

func report(o options, all []*service, missing error, rows map[string]float64) {
	fmt.Printf("%d GPUs at 1 Hz, %d processes on each; %v after %v of warming up\n", o.gpus, o.processes, o.measured, o.warm)
	fmt.Printf("acknowledged by the broker: %.0f samples, %.0f processes, %.0f allocation events\n\n", rows["samples"], rows["processes"], rows["allocations"])
	fmt.Printf("%-36s %12s %10s %10s %8s\n", "", "% of a core", "RSS MB", "peak MB", "threads")
	for _, s := range all {
		fmt.Printf("%-36s %12.3f %10.1f %10.1f %8d\n", s.name, s.percent(), s.rss/1e6, s.peak/1e6, s.threads)
	}
	if missing != nil {
		fmt.Printf("node_exporter is not measured: %v\n", missing)
	}
}

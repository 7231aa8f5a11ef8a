// Command backlog measures what a resource that was bought long ago does to a live
// processor: how long it takes to publish a cell for each minute since then, in what
// memory, and how far behind the broker's clock the ledger is meanwhile, in the
// partition of that resource and in the others. Broker, processor and fleet are
// processes of their own on this machine.
//
//	go run ./benchmarks/backlog -from 2010-01-01T00:00:00Z
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"github.com/gpumeter/gpumeter/deploy/broker"
	"github.com/gpumeter/gpumeter/processor"
	schemabroker "github.com/gpumeter/gpumeter/schemas/broker"
)

type options struct {
	role    string // what this process is, of those below; empty = the fleet
	brokers string
	state   string
	from    time.Time
	gpus    int
	nodes   int
}

func main() {
	var o options
	from := flag.String("from", "2010-01-01T00:00:00Z", "when the resource was bought")
	flag.IntVar(&o.gpus, "gpus", 8, "GPUs of a node")
	flag.IntVar(&o.nodes, "nodes", 32, "other nodes, with a sample of each GPU a second")
	archived := flag.Bool("archive", false, "give the processor a state.dir")
	flag.StringVar(&o.role, "role", "", "internal")
	flag.StringVar(&o.brokers, "brokers", "", "internal")
	flag.StringVar(&o.state, "state", "", "internal")
	flag.Parse()
	var err error
	if o.from, err = time.Parse(time.RFC3339, *from); err == nil {
		err = run(o, *archived)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "backlog:", err)
		os.Exit(1)
	}
}

func run(o options, archived bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	switch o.role {
	case "broker":
		return serve()
	case "processor":
		return process(ctx, o)
	}
	dir, err := os.MkdirTemp("", "gpumeter-backlog-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if archived {
		o.state = dir
	}
	return measure(ctx, o)
}

// serve is the broker: it says where it listens, and stays until its input ends.
func serve() error {
	s, err := broker.Start(broker.Options{})
	if err != nil {
		return err
	}
	fmt.Println(s)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return s.Stop()
}

func process(ctx context.Context, o options) error {
	cfg := processor.DefaultConfig()
	cfg.Broker = schemabroker.Config{Brokers: []string{o.brokers}}
	cfg.Topics.Replication, cfg.Rules.State.Dir = 1, o.state
	ctx, stop := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	return processor.Run(ctx, cfg, processor.Env{Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
}

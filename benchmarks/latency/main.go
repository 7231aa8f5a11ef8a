// Command latency measures how late people know, at speed 1: with a fleet that
// sends a sample of each GPU a second, every node in a message of its own, on an
// embedded broker and engine,
//
//   - from the append of the sample that decides an alert to the request at
//     Slack's server. What decides is the last of the first samples, GPU by GPU,
//     at or behind the alert's threshold_at; its append is counted from before it
//     is handed to the client.
//   - from the close of a window (its end plus grace) to when its cells can be
//     queried.
//
// Jobs fall idle one after the other, a few a second; others hold GPUs idle all
// the time and must not be in the way. To have alerts within minutes, the
// trailing window of an alert is 20 s instead of 30 min: what a sample costs and
// how far it travels is the same. All of it shares the machine with the load
// generator, the broker and ClickHouse.
//
//	go run ./benchmarks/latency                  a table
//	go run ./benchmarks/latency -check           fails above 1 s and 2 s (p99)
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/run"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/sink"
	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

type options struct {
	gpus    int
	idle    float64
	seconds int
	rate    float64
	check   bool
}

// What the project promises of the 99th percentile.
const (
	alertWithin  = time.Second
	windowWithin = 2 * time.Second
)

func main() {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	var o options
	flag.IntVar(&o.gpus, "gpus", 10_000, "GPUs, each with a sample a second")
	flag.Float64Var(&o.idle, "idle", 0.3, "share of the jobs that are idle all the time")
	flag.IntVar(&o.seconds, "seconds", 240, "for how long jobs fall idle")
	flag.Float64Var(&o.rate, "rate", 1, "jobs that fall idle a second")
	flag.BoolVar(&o.check, "check", false, "fail where a 99th percentile is above what is promised")
	flag.Parse()
	if err := measure(context.Background(), o); err != nil {
		fmt.Fprintln(os.Stderr, "latency:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "gpumeter-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := stack.DefaultConfig()
	cfg.Data = filepath.Join(dir, "data")
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := stack.Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.Topics(ctx, cfg.Topics); err != nil {
		return err
	}
	fake := slacktest.New()
	defer fake.Close()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stages, err := launch(ctx, fail, s, fake, dir, log)
	defer func() {
		for _, stage := range stages {
			err = errors.Join(err, stage.Stop())
		}
	}()
	if err != nil {
		return err
	}
	return observe(ctx, o, s, fake)
}

// observe runs the load and reports.
func observe(ctx context.Context, o options, s *stack.Stack, fake *slacktest.Server) error {
	client, err := s.Client("gpumeter-load", append(broker.ProducerOptions(), kgo.ProducerLinger(0))...)
	if err != nil {
		return err
	}
	defer client.Close()
	conn, err := clickhouse.Open(s.ClickHouse)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	load := newLoad(o, client)
	if err := load.references(ctx); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	windows := watch(watching, conn, processor.DefaultRules().Grace, load.nodes*gpusOfNode)
	err = load.run(ctx)
	stop()
	closed := <-windows
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	alerts, err := alerts(ctx, load, conn, fake)
	if err != nil {
		return err
	}
	return report(o, load, alerts, closed)
}

// launch starts the stages as their binaries have them by default, but for the
// length of the idle window and for storms, which would hide the single message.
func launch(ctx context.Context, fail context.CancelCauseFunc, s *stack.Stack, fake *slacktest.Server, dir string, log *slog.Logger) ([]*run.Stage, error) {
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte(slacktest.Token), 0o600); err != nil {
		return nil, err
	}
	into := sink.DefaultConfig()
	into.Broker, into.ClickHouse = s.Broker, s.ClickHouse
	into.Slack.TokenFile, into.Slack.Channel, into.Slack.API = token, slacktest.Channel, fake.API()
	into.Notify.Storm.Alerts = 10_000
	cfg := processor.DefaultConfig()
	cfg.Broker = s.Broker
	cfg.Detect.Idle.Notice, cfg.Detect.Idle.Alert = 5*time.Second, alertAfter
	var patient processor.IdleClass
	if err := patient.UnmarshalText([]byte(patientPhase + " notice=24h alert=24h")); err != nil {
		return nil, err
	}
	cfg.Detect.Idle.Classes = []processor.IdleClass{patient}
	return []*run.Stage{
		run.Launch(ctx, "processor", fail, func(ctx context.Context) error {
			return processor.Run(ctx, cfg, processor.Env{Log: log, Meter: noop.Meter{}})
		}),
		run.Launch(ctx, "sink", fail, func(ctx context.Context) error {
			return sink.Run(ctx, into, sink.Env{Log: log, Meter: noop.Meter{}})
		}),
	}, nil
}

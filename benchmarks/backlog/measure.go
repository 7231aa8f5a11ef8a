package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

const (
	group  = "gpumeter-processor"
	settle = 20 * time.Second // of the fleet alone
	look   = 200 * time.Millisecond
)

// A child is this program in another role. It ends when its input does.
type child struct {
	*exec.Cmd
	out *bufio.Reader
	end func() error
}

func spawn(args ...string) (*child, error) {
	cmd := exec.Command(os.Args[0], args...)
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	cmd.Stderr = os.Stderr
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		return nil, err
	}
	return &child{cmd, bufio.NewReader(out), func() error { return errors.Join(in.Close(), cmd.Wait()) }}, nil
}

func measure(ctx context.Context, o options) (err error) {
	server, err := spawn("-role", "broker")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.end()) }()
	address, err := server.out.ReadString('\n')
	if err != nil {
		return fmt.Errorf("the broker did not start: %w", err)
	}
	address = strings.TrimSpace(address)
	opts, err := broker.Config{Brokers: []string{address}}.Options("backlog")
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(append(broker.ProducerOptions(), opts...)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	layout := broker.DefaultLayout()
	layout.Replication = 1
	if _, err := broker.Ensure(ctx, cl, layout); err != nil {
		return err
	}
	worker, err := spawn("-role", "processor", "-brokers", address, "-state", o.state)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, worker.end()) }()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- live(ctx, cl, o) }()
	w := watch{adm: kadm.NewClient(cl), pid: worker.Process.Pid}
	if err := w.until(ctx, failed, func() bool { return w.looks > int(settle/look) }); err != nil {
		return err
	}
	w.report("the fleet alone")
	if err := resources(ctx, cl, schemas.Resource{
		Node: "bought", Resource: "bought", Provider: "own", SKU: "x", GPUs: names(o.gpus), From: o.from.UnixMilli(),
		PricingCategory: "owned", IdleWatts: schemas.Absent32,
	}); err != nil {
		return err
	}
	began := time.Now()
	w.began = false
	if err := w.until(ctx, failed, func() bool { return w.began && w.behind < 0 }); err != nil {
		return err
	}
	took := time.Since(began)
	w.report("with the backlog")
	cells := time.Since(o.from) / time.Minute * time.Duration(o.gpus)
	fmt.Printf("%d cells since %s in %.0f s: %.0f a second\n", cells, o.from.Format(time.DateOnly), took.Seconds(), float64(cells)/took.Seconds())
	return nil
}

// A watch looks at what the group has committed.
type watch struct {
	adm *kadm.Client
	pid int

	looks  int
	began  bool
	behind int32           // partition with a backlog; negative = none
	late   []time.Duration // of its horizon, at each look
	others []time.Duration // of the latest of the other partitions
	memory int             // MiB
}

func (w *watch) until(ctx context.Context, failed <-chan error, done func() bool) error {
	w.looks, w.late, w.others, w.memory = 0, nil, nil, 0
	for tick := time.NewTicker(look); !done(); {
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			w.look(ctx)
		}
	}
	return nil
}

func (w *watch) look(ctx context.Context) {
	w.behind = -1
	all, err := w.adm.FetchOffsets(ctx, group)
	if err != nil {
		return // it has not joined yet
	}
	now, worst := time.Now().UnixMilli(), int64(0)
	for n, o := range all[schemas.Prefix+schemas.StreamSamples] {
		p, err := meter.ParsePosition(o.Metadata)
		if err != nil || p.Horizon == 0 {
			continue
		}
		if p.Behind.Levels > 0 {
			w.began, w.behind = true, n
			w.late = append(w.late, time.Duration(now-p.Horizon)*time.Millisecond)
			continue
		}
		worst = max(worst, now-p.Horizon)
	}
	w.looks++
	w.others = append(w.others, time.Duration(worst)*time.Millisecond)
	w.memory = max(w.memory, resident(w.pid))
}

func (w *watch) report(what string) {
	fmt.Printf("%-18s memory up to %d MiB; the horizon behind the clock, median and most: of the other partitions %s", what, w.memory, spread(w.others))
	if len(w.late) > 0 {
		fmt.Printf(", of the one with the backlog %s", spread(w.late))
	}
	fmt.Println()
}

func spread(all []time.Duration) string {
	slices.Sort(all)
	return fmt.Sprintf("%.1f and %.1f s", all[len(all)/2].Seconds(), all[len(all)-1].Seconds())
}

// resident is the resident memory of a process in MiB.
func resident(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.Atoi(fields[0])
	return kb >> 10
}

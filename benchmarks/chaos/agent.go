package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gpumeter/gpumeter/benchmarks/chaos/proxy"
)

// An agent is a collector whose source does not wait for the brokers: a fleet of
// its own, which has a spool. What it has read is in Kafka or on its disk, and a
// successor that was not there brings it from the disk:
//
//	life 1   says everything ─► killed: the next life says everything again
//	life 2   says everything ─► cut off, it spools what is left ─► killed, or stopped: stranded
//	life 3   says the first seconds again, and what the spool holds; ends when that is empty
//
// Only what the spool has kept makes the ledger right after a stranding.
type agent struct {
	stage *stage
	truth string // file that the source ends with
	whole int64  // its size then

	mu       sync.Mutex    // held by who does something to the agent
	stranded bool          // nothing is said again
	through  chan struct{} // closed when Kafka has everything
}

const (
	agentGPUs = 8
	// agentPace makes the agent's hours about as long as the trouble half is.
	agentPace = 900
	// agentPatience is how long a stranding waits for the source to be over: it may
	// have been killed, or frozen, a moment ago.
	agentPatience = 30 * time.Second
	// spooledWithin is some times what a kill may take (batch.wait + spool.after).
	spooledWithin = 3 * time.Second
)

func (p *pipeline) newAgent(l *load) *agent {
	return &agent{
		stage: p.stage(agentStage, "gpumeter-collector"),
		truth: filepath.Join(p.dir, "truth.ndjson"), whole: l.truth, through: make(chan struct{}),
	}
}

// settings of the next life.
func (a *agent) settings(p *pipeline, l *load) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := append(l.agentSource(), "brokers="+p.brokers(agentStage), "spool.dir="+filepath.Join(p.dir, "spool"),
		"spool.after=500ms", "batch.rows=64", "batch.wait=100ms")
	if a.stranded {
		return append(list, "source.fleet.duration=10s")
	}
	return append(list, fmt.Sprintf("source.fleet.duration=%v", fleetSpan), fmt.Sprintf("source.fleet.speed=%d", agentPace), "source.fleet.truth="+a.truth)
}

// run lets the agent say everything, and returns when Kafka has it.
func (a *agent) run(ctx context.Context, p *pipeline, l *load) error {
	defer close(a.through)
	for {
		a.stage.set(a.settings(p, l)...)
		life, err := a.stage.begin()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), a.stage.kill())
		case <-life.done:
		}
		if err := a.stage.ended(life); err != nil || !a.stage.wasTold(life) {
			return err
		}
	}
}

// kill lets everything be said again: nobody knows what had got as far as the disk.
func (a *agent) kill() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	// The life that ends now must not look like one that has said everything.
	if err := os.Remove(a.truth); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return a.stage.kill()
}

// freeze holds off whoever counts on the agent's clock.
func (a *agent) freeze(ctx context.Context, length time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stage.freezeFor(ctx, length)
}

func (a *agent) isThrough() bool {
	select {
	case <-a.through:
		return true
	default:
		return false
	}
}

// strand cuts the agent off, waits until all that it read is on its disk, and ends
// it by end.
func (a *agent) strand(ctx context.Context, l *link, end func() error) (note string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stranded || a.isThrough() {
		return "it was through", nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Set(proxy.Weather{Down: true})
	defer l.Set(proxy.Weather{})
	said, err := awaitFor(ctx, agentPatience, func(context.Context) (bool, error) {
		file, err := os.Stat(a.truth)
		return err == nil && file.Size() == a.whole, nil // an error: it is not there yet
	})
	if err != nil || !said {
		return "it did not come to an end", err
	}
	pause(ctx, spooledWithin)
	if a.stage.over() {
		return "it was through", nil
	}
	a.stranded = true
	return "", end()
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gpumeter/gpumeter/benchmarks/chaos/proxy"
	"github.com/gpumeter/gpumeter/processor"
)

// suffer does what a fault says and mends it. It returns what happened beside it.
func (p *pipeline) suffer(ctx context.Context, f fault) (note string, err error) {
	if l := p.links[f.target]; l != nil {
		return "", l.suffer(ctx, f)
	}
	switch {
	case f.target == clickHouse:
		return "", killEngine()
	case f.target == kafkaNode:
		node := p.cluster.Nodes()[0]
		return "", errors.Join(node.Kill(), node.Restart(ctx))
	case f.kind == freeze:
		return p.freeze(ctx, f)
	}
	if f.kind == killBusy {
		return p.killInTransaction(ctx, f.target)
	}
	s, err := p.process(ctx, f.target)
	if s == nil {
		return "nobody was there", err
	}
	return "", s.kill()
}

// process is the stage of a name; of collectors, the one that has run longest,
// waited for.
func (p *pipeline) process(ctx context.Context, name string) (*stage, error) {
	if name != collector {
		return p.stages[name], nil
	}
	var s *stage
	_, err := awaitFor(ctx, patience, func(context.Context) (bool, error) {
		s = p.collecting()
		return s != nil, nil
	})
	return s, err
}

func (p *pipeline) freeze(ctx context.Context, f fault) (string, error) {
	s, err := p.process(ctx, f.target)
	if s == nil {
		return "nobody was there", err
	}
	if err := s.freeze(); err != nil {
		return "", err
	}
	pause(ctx, f.length)
	return "", s.thaw()
}

// suffer bends the link.
func (l *link) suffer(ctx context.Context, f fault) error {
	if f.kind == resetOnce {
		l.Reset()
		return nil
	}
	var w proxy.Weather
	switch f.kind {
	case cut:
		w.Down = true
	case hold:
		w.Held = true
	case delay:
		w.Latency = time.Duration(f.amount) * time.Millisecond
	case throttle:
		w.BytesPerSecond = f.amount
	default:
		return fmt.Errorf("no link can be %s", f.kind)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Set(w)
	pause(ctx, f.length)
	l.Set(proxy.Weather{})
	return nil
}

const (
	// patience is how long a fault waits for somebody to be there.
	patience = 3 * time.Second
	// transactionPatience is longer than a successor waits for its partitions.
	transactionPatience = 12 * time.Second
	// outage is how long Kafka may need to come back on a busy machine.
	outage = time.Minute
)

// killInTransaction kills a processor while its transaction is open, with records
// in it. It is frozen for the look: it could commit between a look and the kill.
func (p *pipeline) killInTransaction(ctx context.Context, instance string) (note string, err error) {
	s := p.stages[instance]
	_, err = awaitFor(ctx, outage, func(ctx context.Context) (bool, error) {
		_, err := p.admin.ListTransactions(ctx, nil, nil)
		return err == nil, nil
	})
	if err != nil {
		return "", err
	}
	killed, err := awaitFor(ctx, transactionPatience, func(ctx context.Context) (bool, error) {
		if !p.inTransaction(ctx, instance) {
			return false, nil
		}
		if err := s.freeze(); err != nil {
			return false, err
		}
		if !p.inTransaction(ctx, instance) {
			return false, s.thaw()
		}
		return true, s.kill()
	})
	if killed || err != nil {
		return "", err
	}
	return "no transaction was open", s.kill()
}

// inTransaction reports whether Kafka lists a transaction of the processor as open.
// A Kafka that is away has none.
func (p *pipeline) inTransaction(ctx context.Context, instance string) bool {
	listed, err := p.admin.ListTransactions(ctx, nil, []string{"Ongoing"})
	return err == nil && slices.Contains(listed.TransactionalIDs(), processor.DefaultConfig().Group+"-"+instance)
}

// pause waits for a time of the plan, or for the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// poll is how often a condition is looked at that nobody announces.
const poll = 10 * time.Millisecond

// awaitFor waits until yes, at most for a time: then the answer is no.
func awaitFor(ctx context.Context, most time.Duration, yes func(context.Context) (bool, error)) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		ok, err := yes(limited)
		if ok || err != nil {
			return ok, err
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-limited.Done():
			return false, nil
		case <-time.After(poll):
		}
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gpumeter/gpumeter/benchmarks/chaos/proxy"
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
	case f.target == agentStage:
		return p.harm(ctx, f)
	case f.kind == freeze:
		return p.freeze(ctx, f)
	case f.kind == killBusy:
		return p.killInTransaction(ctx, f.target)
	}
	s, err := p.process(ctx, f.target)
	if s == nil {
		return "nobody was there", err
	}
	return "", s.kill()
}

// harm is what can be done to the agent.
func (p *pipeline) harm(ctx context.Context, f fault) (note string, err error) {
	switch a := p.agent; f.kind {
	case kill:
		return "", a.kill()
	case freeze:
		return "", a.freeze(ctx, f.length)
	case strand:
		return a.strand(ctx, p.links[agentStage+arrow+kafkaNode], a.stage.kill)
	case maroon:
		return a.strand(ctx, p.links[agentStage+arrow+kafkaNode], a.stage.stop)
	default:
		return "", fmt.Errorf("no agent can be hit by %s", f.kind)
	}
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
	return "", s.freezeFor(ctx, f.length)
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

// patience is how long a fault waits for somebody to be there.
const patience = 3 * time.Second

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

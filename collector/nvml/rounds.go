package nvml

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gpumeter/gpumeter/collector/owners"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
)

// rounds asks all GPUs at each instant. It is used by one goroutine.
type rounds struct {
	cfg     Config
	env     Env
	meters  *meters
	workers []*worker
	answers chan answer
	serving sync.WaitGroup
	listed  int64 // when processes were last looked at, Unix ms
}

// newRounds starts a goroutine for each GPU; stop ends them.
func newRounds(cfg Config, env Env, gpus []gpu) (*rounds, error) {
	m, err := newMeters(env.Meter)
	if err != nil {
		return nil, err
	}
	r := &rounds{cfg: cfg, env: env, meters: m, answers: make(chan answer, len(gpus))}
	for i, g := range gpus {
		w := &worker{
			gpu:    g,
			series: series{node: cfg.Node, gpu: g.id(), model: g.model(), interval: uint32(cfg.Interval.Milliseconds())},
			asks:   make(chan question, 1),
		}
		r.workers = append(r.workers, w)
		r.serving.Go(func() { w.serve(i, r.answers) })
	}
	return r, nil
}

// stop ends the idle workers and waits for the others. It returns how many are
// still in the driver after that time.
func (r *rounds) stop(within time.Duration) (hanging int) {
	for _, w := range r.workers {
		close(w.asks)
	}
	done := make(chan struct{})
	go func() {
		r.serving.Wait()
		close(done)
	}()
	limit := time.NewTimer(within)
	defer limit.Stop()
	for {
		select {
		case <-done:
			return 0
		case a := <-r.answers:
			r.workers[a.index].busy = false
		case <-limit.C:
			for _, w := range r.workers {
				if w.busy {
					hanging++
				}
			}
			return hanging
		}
	}
}

// run makes rounds until ctx ends or the sink fails.
func (r *rounds) run(ctx context.Context, to source.Sink) error {
	c := clock{interval: r.cfg.Interval.Milliseconds()}
	for {
		ts, ok := c.wait(ctx)
		if !ok {
			return nil
		}
		if err := r.round(ctx, ts, to); err != nil {
			return err
		}
	}
}

// round asks, waits, and hands over what came.
func (r *rounds) round(ctx context.Context, ts int64, to source.Sink) error {
	began := time.Now()
	processes := r.listed == 0 || ts < r.listed || ts-r.listed >= r.cfg.Processes.Milliseconds()
	answers, ok := r.ask(ctx, question{ts, processes})
	if !ok {
		return nil
	}
	r.meters.took(ctx, time.Since(began))
	for _, a := range answers {
		if err := r.emit(ctx, a, to); err != nil {
			return err
		}
	}
	r.meters.sampled(ctx, r.workers)
	if !processes {
		return nil
	}
	r.listed = ts
	return r.emitProcesses(ts, answers, to)
}

// ask puts q to every GPU that is not busy and returns an answer of each GPU, in
// order: its own, or errHung. ok is false when ctx ended.
func (r *rounds) ask(ctx context.Context, q question) (all []answer, ok bool) {
	r.free()
	open := 0
	for i, w := range r.workers {
		all = append(all, answer{index: i, ts: q.ts, err: errHung})
		if !w.busy {
			w.asks <- q
			w.busy = true
			open++
		}
	}
	limit := time.NewTimer(r.cfg.Timeout)
	defer limit.Stop()
	for open > 0 {
		select {
		case a := <-r.answers:
			r.workers[a.index].busy = false
			if a.ts == q.ts { // else it is of a round that is over
				all[a.index] = a
				open--
			}
		case <-limit.C:
			return all, true
		case <-ctx.Done():
			return nil, false
		}
	}
	return all, true
}

// free takes the answers that came after their round.
func (r *rounds) free() {
	for {
		select {
		case a := <-r.answers:
			r.workers[a.index].busy = false
		default:
			return
		}
	}
}

// emit hands over the samples of one answer and keeps its processes.
func (r *rounds) emit(ctx context.Context, a answer, to source.Sink) error {
	w := r.workers[a.index]
	sent := 0
	for i := range a.readings {
		if !a.readings[i].measured() {
			continue
		}
		s := a.readings[i].sample(w.series, a.ts)
		if err := to.Sample(&s); err != nil {
			return err
		}
		sent++
	}
	if a.err == nil && sent == 0 {
		a.err = errSilent
	}
	w.condition.is(r.env.Log, w.series.gpu, a.ts, a.err)
	if w.condition.why != "" {
		r.meters.unsampled(ctx, w.condition.why)
	}
	w.keep(a.readings)
	return nil
}

// keep takes the lists of processes in the readings; a slice whose list did not
// come keeps the one before, one that is gone has none.
func (w *worker) keep(readings []reading) {
	if !slices.ContainsFunc(readings, func(r reading) bool { return r.processes.ok }) {
		return
	}
	lists := make(map[string]listing, len(readings))
	for _, r := range readings {
		lists[r.slice] = w.processes[r.slice]
		if r.processes.ok {
			lists[r.slice] = listing{r.share, r.processes.v}
		}
	}
	w.processes = lists
}

// emitProcesses tells the owners of all processes, those of GPUs that did not
// answer as they were when they did: their holds did not end, nobody knows. The
// rows are of what was listed at ts only.
func (r *rounds) emitProcesses(ts int64, answers []answer, to source.Sink) error {
	allocation, err := r.observe(ts, to)
	if err != nil {
		return err
	}
	for _, a := range answers {
		for _, reading := range a.readings {
			for _, p := range reading.processes.v {
				err := to.Process(schemas.Process{
					TS: ts, Node: r.cfg.Node, GPU: r.workers[a.index].series.gpu, Slice: reading.slice,
					PID: int64(p.pid), Allocation: allocation[p.pid], SMUtilization: schemas.Absent32, MemoryUsed: p.memory,
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *rounds) observe(ts int64, to source.Sink) (map[int]string, error) {
	if r.env.Owners == nil {
		return nil, nil
	}
	var held []owners.Held
	for _, w := range r.workers {
		for _, slice := range slices.SortedFunc(maps.Keys(w.processes), cmp.Compare) {
			l := w.processes[slice]
			for _, p := range l.processes {
				held = append(held, owners.Held{GPU: w.series.gpu, Slice: slice, Share: l.share, PID: p.pid})
			}
		}
	}
	return r.env.Owners.Observe(ts, held, to)
}

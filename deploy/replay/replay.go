package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/deploy/run"
	"github.com/gpumeter/gpumeter/deploy/settings"
	"github.com/gpumeter/gpumeter/schemas/service"
)

// Env is what a replay gets from its surroundings.
type Env struct {
	Log      *slog.Logger
	Progress io.Writer // a line every few seconds; nil = none
	Now      func() time.Time
}

// A replay in work.
type replay struct {
	Env
	cfg      Config
	pipeline *run.Pipeline

	published publish.Stats
	horizon   service.Instant
	watch     watch
}

// Run replays dir. It returns when everything is queryable and every stage has
// stopped. When ctx ends before, what was acknowledged stays; the same replay
// again completes it.
func Run(ctx context.Context, cfg Config, dir string, env Env) (_ *Summary, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &replay{Env: env, cfg: cfg}
	if r.pipeline, err = run.Open(ctx, run.Config{Name: "replay", Stack: cfg.Stack, Rules: cfg.Rules}, env.Log); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.pipeline.Close()) }()
	r.watch.began = env.Now()
	err = r.pass(dir)
	if stopped := r.pipeline.Stop(); err == nil || stopped != nil {
		err = stopped // a stage that failed is why the pass did
	}
	if err != nil {
		return nil, err
	}
	if err := r.keep(); err != nil {
		return nil, err
	}
	return r.summarize(ctx)
}

// keep notes what verify has to know.
func (r *replay) keep() error {
	if r.cfg.Stack.Data == "" {
		return nil
	}
	named := r.cfg.Until != 0 || int64(r.horizon) != r.published.MaxEvent
	return settings.KeepLast(r.cfg.Stack.Data, settings.Last{Horizon: int64(r.horizon), Named: named, At: r.watch.began.UnixMilli()})
}

// pass gets the files through the stages, to the last row.
func (r *replay) pass(dir string) error {
	if err := r.pipeline.Start(); err != nil {
		return err
	}
	defer r.progress()()
	if err := r.publish(dir); err != nil {
		return err
	}
	if err := r.settle(); err != nil {
		return fmt.Errorf("wait for the pipeline: %w", err)
	}
	return nil
}

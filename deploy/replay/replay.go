package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/deploy/settings"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
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
	cfg        Config
	stack      *stack.Stack
	client     *kgo.Client
	conn       driver.Conn
	partitions int32

	ctx       context.Context // ends when a stage fails or the caller gives up
	fail      context.CancelCauseFunc
	sink      *stage
	processor *stage
	meter     *meter.Meter

	published publish.Stats
	horizon   Instant
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
	r.ctx, r.fail = context.WithCancelCause(ctx)
	defer r.fail(nil)
	if r.stack, err = stack.Open(ctx, cfg.Stack, env.Log); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.stack.Close()) }()
	defer r.disconnect()
	if err := r.prepare(); err != nil {
		return nil, err
	}
	r.watch.began = env.Now()
	err = r.pass(dir)
	if stopped := r.stop(); err == nil || stopped != nil {
		err = stopped // a stage that failed is why the pass did
	}
	if err != nil {
		return nil, err
	}
	if err := r.keep(); err != nil {
		return nil, err
	}
	return r.summarize()
}

// keep notes what verify has to know.
func (r *replay) keep() error {
	if r.cfg.Stack.Data == "" {
		return nil
	}
	named := r.cfg.Until != 0 || int64(r.horizon) != r.published.MaxEvent
	return settings.KeepLast(r.cfg.Stack.Data, settings.Last{Horizon: int64(r.horizon), Named: named, At: r.watch.began.UnixMilli()})
}

// prepare connects, and makes topics and tables.
func (r *replay) prepare() (err error) {
	if data := r.cfg.Stack.Data; data != "" {
		if err := settings.Keep(data, r.cfg.Rules); err != nil {
			return err
		}
	}
	if r.partitions, err = r.stack.Topics(r.ctx, r.cfg.Stack.Topics); err != nil {
		return err
	}
	if r.client, err = r.stack.Client("gpumeter-replay"); err != nil {
		return err
	}
	if r.conn, err = clickhouse.Open(r.stack.ClickHouse); err != nil {
		return err
	}
	_, err = clickhouse.Migrate(r.ctx, r.conn)
	return err
}

func (r *replay) disconnect() {
	if r.client != nil {
		r.client.Close()
	}
	if r.conn != nil {
		_ = r.conn.Close() // nothing is pending
	}
}

// pass gets the files through the stages, to the last row.
func (r *replay) pass(dir string) error {
	if err := r.start(); err != nil {
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

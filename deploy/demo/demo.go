package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector/files"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/deploy/record"
	"github.com/gpumeter/gpumeter/deploy/run"
	"github.com/gpumeter/gpumeter/deploy/settings"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// Env is what a demo gets from its surroundings.
type Env struct {
	Log     *slog.Logger
	View    Display
	Now     func() time.Time
	Program string // how the binary was called, for the commands that it shows
}

// A Display shows the demo, some times a second, from one goroutine.
type Display interface{ Show(m *Model) error }

// A demo in work.
type demo struct {
	Env
	cfg   Config
	rules processor.Rules
	data  string // directory of everything

	life     context.Context // outlives the stop of the source; ends with the demo
	giveUp   context.CancelCauseFunc
	pipeline *run.Pipeline
	client   *kgo.Client
	out      *publish.Publisher
	tape     *record.Recorder
	feed     feed
	source   string // in words
	node     bool   // it is about this node's GPUs
	live     bool   // event time is the broker's
	said     *said  // messages as they would be sent, nil where they are sent

	began   time.Time
	horizon int64 // last one that was named, Unix ms

	mu     sync.Mutex
	phase  string
	ledger Ledger
	first  time.Duration // until there was money, 0 = not yet
	asked  error         // why the last question failed
}

// Run shows the pipeline until the source ends, cfg.For is over, or ctx ends;
// then it lets everything that was published arrive, and checks the ledger. An
// error is about running; what is broken is in the summary.
func Run(ctx context.Context, cfg Config, env Env) (_ *Summary, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg, node := cfg.decided(hasDriver())
	d := &demo{Env: env, cfg: cfg, node: node, rules: rules(), began: env.Now(), phase: "starting"}
	tidy, err := d.place()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tidy()) }()
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	d.life, d.giveUp = life, end
	unless := context.AfterFunc(ctx, func() { end(context.Cause(ctx)) }) // while nothing has been published
	if d.pipeline, err = run.Open(life, run.Config{Name: "demo", Stack: d.stack(), Rules: d.rules, Tell: d.tell()}, env.Log); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.pipeline.Close()) }()
	summary, err := d.pass(ctx, unless)
	if stopped := d.pipeline.Stop(); err == nil || stopped != nil {
		err = stopped // a stage that failed is why the pass did
	}
	if err != nil {
		return nil, err
	}
	return summary, d.judge(summary)
}

// rules are the default ones, with results of the open window as often as a
// person can follow.
func rules() processor.Rules {
	r := processor.DefaultRules()
	r.Early.Every = 2 * time.Second
	return r
}

func (d *demo) stack() stack.Config {
	c := stack.DefaultConfig()
	c.Data, c.Listen = d.data, d.cfg.Listen
	return c
}

// place makes the data directory, and says how it is removed.
func (d *demo) place() (tidy func() error, err error) {
	if d.cfg.Data == "" {
		if d.data, err = os.MkdirTemp("", "gpumeter-demo-"); err != nil {
			return nil, err
		}
		return func() error { return os.RemoveAll(d.data) }, nil
	}
	d.data = d.cfg.Data
	if _, err := os.Stat(settings.File(d.data)); err == nil {
		return nil, fmt.Errorf("data: %s holds a ledger: the demo begins one, so that it can check all of it; name another directory or remove that one", d.data)
	}
	return func() error { return nil }, os.MkdirAll(d.data, 0o700)
}

func (d *demo) path(name string) string { return filepath.Join(d.data, name) }

// pass gets events through the stages until somebody or something says stop.
func (d *demo) pass(ctx context.Context, started func() bool) (*Summary, error) {
	if err := d.pipeline.Start(); err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	defer d.client.Close()
	if !started() {
		return nil, errors.Join(d.close(), context.Cause(ctx))
	}
	watching, blind := context.WithCancel(d.life)
	var eyes sync.WaitGroup
	eyes.Go(func() { d.watch(watching) })
	eyes.Go(func() { d.draw(watching) })
	err := d.play(ctx)
	if err == nil {
		err = d.settle()
	}
	var summary *Summary
	if err == nil {
		summary, err = d.summarize()
	}
	blind()
	eyes.Wait()
	return summary, errors.Join(err, d.close())
}

// open makes the way of the events: feed, recorder, publisher.
func (d *demo) open() (err error) {
	opts, err := d.pipeline.Stack.Broker.Options("gpumeter-demo-collector")
	if err != nil {
		return err
	}
	if d.client, err = kgo.NewClient(append(opts, broker.ProducerOptions()...)...); err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	if d.out, err = publish.New(d.life, d.client, publish.DefaultConfig(), noop.Meter{}, d.Now()); err != nil {
		d.client.Close()
		return err
	}
	if d.tape, err = record.New(d.path("events"), d.out); err == nil {
		err = d.choose()
	}
	if err != nil {
		err = errors.Join(err, d.close())
		d.client.Close()
	}
	return err
}

// choose opens the source.
func (d *demo) choose() (err error) {
	if d.cfg.Input != "" {
		c := files.DefaultConfig()
		c.Dir = d.cfg.Input
		d.source = "files of " + d.cfg.Input
		d.feed, err = play(d.cfg, files.Source{Config: c, Ignored: d.out.Ignored}, d.Now)
		return err
	}
	d.live = d.cfg.Speed == 1
	if d.node {
		d.source = fmt.Sprintf("the GPUs of this node at %.2f USD an hour each", d.cfg.Price)
		d.feed = &node{log: d.Log, price: int64(math.Round(d.cfg.Price * 1e9)), now: d.Now}
		return nil
	}
	d.source = fmt.Sprintf("a synthetic fleet of %d GPUs, seed %d", d.cfg.GPUs, d.cfg.Seed)
	truth, err := d.truth()
	if err != nil {
		return fmt.Errorf("begin the file of truth: %w", err)
	}
	if d.feed, err = simulate(d.cfg, truth, d.Now); err != nil {
		return errors.Join(err, truth.Close())
	}
	return nil
}

// truth makes the file of what the fleet does. It stays, also where the ledger
// does not: to compare it with is what it is for.
func (d *demo) truth() (*os.File, error) {
	if d.cfg.Data != "" {
		return os.Create(d.path("truth.ndjson"))
	}
	return os.CreateTemp("", fmt.Sprintf("gpumeter-truth-seed%d-*.ndjson", d.cfg.Seed))
}

// close ends what open began; what was not flushed is not sent.
func (d *demo) close() error {
	var errs []error
	if d.tape != nil {
		errs = append(errs, d.tape.Close())
	}
	return errors.Join(append(errs, d.out.Close())...)
}

// play runs the source and moves time behind it, until the source ends or is
// stopped. Everything that it handed over is acknowledged then.
func (d *demo) play(ctx context.Context) error {
	d.enter("running")
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	broken := context.AfterFunc(d.pipeline.Context(), func() { stop(context.Cause(d.pipeline.Context())) })
	defer broken()
	if _, ends := d.feed.(*simulation); !ends && d.cfg.For > 0 {
		enough := time.AfterFunc(d.cfg.For, func() { stop(nil) })
		defer enough.Stop()
	}
	var clock sync.WaitGroup
	var ticked error
	clock.Go(func() {
		if ticked = d.ticks(running); ticked != nil {
			stop(ticked)
		}
	})
	err := d.feed.Run(running, d.tape)
	stop(nil)
	clock.Wait()
	d.enter("stopping")
	if err := errors.Join(err, ticked); err != nil {
		return err
	}
	return d.out.Flush(d.life)
}

// Between two ticks. A live ledger moves as in production; otherwise as often as
// the view can show it.
const (
	livePulse = time.Second
	pulse     = 500 * time.Millisecond
)

// ticks moves the ledger's time while the source runs. Live, a tick stands for
// the broker's clock. Otherwise it names how far the source is: everything before
// that is acknowledged first, so that no window closes on what is under way.
func (d *demo) ticks(ctx context.Context) error {
	every := pulse
	if d.live {
		every = livePulse
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		tick := schemas.Tick{}
		if !d.live {
			if tick.Horizon = d.feed.Reached(); tick.Horizon <= d.horizon {
				continue
			}
			if err := d.out.Flush(d.life); err != nil {
				return err
			}
			d.horizon = tick.Horizon
		}
		if _, err := d.pipeline.Tick(d.life, tick); err != nil {
			return err
		}
	}
}

// settleWithin bounds the wait for what was published to arrive.
const settleWithin = 2 * time.Minute

// settle names the last horizon and waits until everything is queryable.
func (d *demo) settle() error {
	late := time.AfterFunc(settleWithin, func() {
		d.giveUp(fmt.Errorf("what was published did not arrive within %v: choose a lower speed or fewer GPUs", settleWithin))
	})
	defer late.Stop()
	latest, err := d.pipeline.Recovered()
	if err != nil {
		return err
	}
	d.horizon = max(d.horizon, latest, d.feed.Reached())
	if _, played := d.feed.(*player); played {
		d.horizon = max(d.horizon, d.out.Stats().MaxEvent)
	}
	offset, err := d.pipeline.Tick(d.life, schemas.Tick{Horizon: d.horizon, Final: true})
	if err != nil {
		return err
	}
	if err := d.pipeline.Applied(offset); err != nil {
		return fmt.Errorf("wait for the processor: %w", err)
	}
	if err := d.pipeline.Queryable(); err != nil {
		return fmt.Errorf("wait for ClickHouse: %w", err)
	}
	return d.told()
}

// tellWithin bounds the wait for the last messages: nobody waits for a Slack that
// is away.
const tellWithin = 10 * time.Second

func (d *demo) told() error {
	ctx, cancel := context.WithTimeout(d.pipeline.Context(), tellWithin)
	defer cancel()
	left, err := d.pipeline.Told(ctx)
	if left > 0 {
		d.Log.Warn("not everybody was told of every alert in time", "findings", left, "waited", tellWithin)
	}
	return err
}

// enter names what the demo is doing.
func (d *demo) enter(phase string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phase = phase
}

package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// Env is what the notifier gets from its surroundings.
type Env struct {
	Broker   broker.Config
	Topics   broker.Layout
	Notifier Notifier
	Log      *slog.Logger
	Meter    metric.Meter
}

// stopWithin is how long a message that is on its way may take when Run's
// context ends: less than a service has to stop.
const stopWithin = 5 * time.Second

// sessionTimeout is after what time without a heartbeat the group gives the
// partitions of a notifier that was killed to others.
const sessionTimeout = 10 * time.Second

// Run tells of findings until ctx ends, which is its regular end: nil then. A
// Notifier that fails does not end it; brokers that do not take what must be
// recorded do. What was not told then is told by the successor.
func Run(ctx context.Context, cfg Config, env Env) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	r, err := newRunner(cfg, env)
	if err != nil {
		return err
	}
	return env.Broker.Explain(r.run(ctx))
}

// A runner is one run. All its fields belong to the loop: the client calls back
// about partitions only while the loop lets it.
type runner struct {
	cfg     Config
	env     Env
	life    context.Context // outlives the end of Run's ctx by stopWithin at most
	options []kgo.Opt
	client  *kgo.Client // reads findings in the group
	writer  *kgo.Client // appends notices
	admin   *kadm.Client

	book      *book
	assigned  []int32         // not recalled yet
	woken     chan struct{}   // holds one token when partitions were assigned
	committed map[int32]int64 // -1 = nothing

	retries     int // posts that failed in a row
	retryAt     time.Time
	editRetries int
	pace        pace
	metrics     *metrics
	quiet       *quiet
	crash       func(step string) error // nil error but in tests
}

// pace is how long failures make the next attempt wait.
type pace struct{ passing, blocking, longest time.Duration }

func newRunner(cfg Config, env Env) (*runner, error) {
	m, err := newMetrics(env.Meter)
	if err != nil {
		return nil, fmt.Errorf("metrics of the notifier: %w", err)
	}
	options, err := env.Broker.Options("gpumeter-notify")
	if err != nil {
		return nil, err
	}
	return &runner{
		cfg: cfg, env: env, options: options,
		book: newBook(cfg), committed: map[int32]int64{}, woken: make(chan struct{}, 1),
		pace:    pace{passing: 500 * time.Millisecond, blocking: 10 * time.Second, longest: time.Minute},
		metrics: m, quiet: newQuiet(time.Minute),
		crash: func(string) error { return nil },
	}, nil
}

func (r *runner) run(ctx context.Context) error {
	life, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(stopWithin, giveUp) })()
	r.life = life
	err := r.open(ctx)
	defer r.close()
	if err == nil {
		err = r.loop(ctx)
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (r *runner) open(ctx context.Context) error {
	var err error
	if err = r.ensure(ctx); err != nil {
		return err
	}
	producer := append(append(slices.Clone(r.options), broker.ProducerOptions()...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), // a notice is where its finding is
		kgo.ProducerLinger(0),                          // a message waits for it
		kgo.DefaultProduceTopic(noticesTopic()),
	)
	if r.writer, err = kgo.NewClient(producer...); err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	r.admin = kadm.NewClient(r.writer)
	consumer := append(append(slices.Clone(r.options), broker.ConsumerOptions()...),
		kgo.ConsumerGroup(r.cfg.Group),
		kgo.SessionTimeout(sessionTimeout),
		kgo.ConsumeTopics(findingsTopic()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.DisableAutoCommit(),    // telling comes first
		kgo.KeepControlRecords(),   // so that the position reaches the end of the topic
		kgo.BlockRebalanceOnPoll(), // nobody takes a partition over while a message of it is on its way
		kgo.OnPartitionsAssigned(r.assign),
		kgo.OnPartitionsRevoked(r.drop),
		kgo.OnPartitionsLost(r.drop),
	)
	if r.client, err = kgo.NewClient(consumer...); err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	return nil
}

// ensure makes the topics where they are missing. It has a client of its own,
// since one that has seen a topic missing believes so for a while.
func (r *runner) ensure(ctx context.Context) error {
	client, err := kgo.NewClient(r.options...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer client.Close()
	if _, err := broker.Prepare(ctx, client, r.env.Topics, r.cfg.Use()); err != nil {
		return fmt.Errorf("topics at %v: %w", r.env.Broker.Brokers, err)
	}
	return nil
}

// assign ends the poll: what was told of a partition, and where its past ends,
// is asked before anything is read of it.
func (r *runner) assign(_ context.Context, _ *kgo.Client, more map[string][]int32) {
	r.assigned = append(r.assigned, more[findingsTopic()]...)
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

func (r *runner) drop(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	for _, partition := range lost[findingsTopic()] {
		r.book.drop(partition)
		delete(r.committed, partition)
		r.assigned = slices.DeleteFunc(r.assigned, func(p int32) bool { return p == partition })
	}
}

func (r *runner) close() {
	if r.client != nil {
		r.client.CloseAllowingRebalance()
	}
	if r.writer != nil {
		r.writer.Close()
	}
}

// loop reads, tells, commits. It makes one attempt at a message per turn, so that
// what happened meanwhile is in the next.
func (r *runner) loop(ctx context.Context) error {
	var wake time.Time
	for {
		fetches := r.poll(ctx, wake)
		if fetches.IsClientClosed() {
			return kgo.ErrClientClosed
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if len(fetches) == 0 {
			continue // the one return of a poll that does not hold rebalances off
		}
		if err := r.fetchError(ctx, fetches); err != nil {
			return err
		}
		if err := r.recall(ctx); err != nil {
			return err
		}
		now := time.Now()
		fetches.EachRecord(func(rec *kgo.Record) { r.read(rec, now) })
		var err error
		if wake, err = r.act(now); err != nil {
			return err
		}
		if err := r.commit(); err != nil {
			return err
		}
		r.client.AllowRebalance()
	}
}

// maxPoll bounds what one poll hands over; the rest stays in the client, whose
// buffer is bounded by bytes.
const maxPoll = 1000

// poll waits for findings until there is something else to do: it is time, or
// partitions were assigned. A deadline that has passed would read nothing.
func (r *runner) poll(ctx context.Context, wake time.Time) kgo.Fetches {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !wake.IsZero() {
		stop := time.AfterFunc(max(time.Until(wake), time.Millisecond), cancel)
		defer stop.Stop()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-r.woken:
			cancel()
		case <-ctx.Done():
		}
	}()
	fetches := r.client.PollRecords(ctx, maxPoll)
	cancel()
	<-done
	return fetches
}

// fetchError is nil for errors that the client retries by itself and for the
// end of a poll.
func (r *runner) fetchError(ctx context.Context, fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		switch {
		case ctx.Err() != nil, errors.Is(e.Err, context.Canceled):
		case broker.Classify(e.Err) == broker.Retry:
			if held, yes := r.quiet.speak("fetch", time.Now()); yes {
				r.env.Log.Warn("fetch", "topic", e.Topic, "partition", e.Partition, "unlogged", held, "error", e.Err)
			}
		default:
			return fmt.Errorf("fetch %s/%d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}

func (r *runner) read(rec *kgo.Record, now time.Time) {
	defer r.book.at(rec.Partition, rec.Offset+1)
	if rec.Attrs.IsControl() {
		return
	}
	findings, err := wire.Decode[schemas.Finding](nil, rec)
	if err != nil {
		r.unreadable(rec, err)
		return
	}
	for i := range findings {
		r.book.read(rec.Partition, rec.Offset, &findings[i], rec.Timestamp, now)
	}
}

// act does what is due and says when to come back.
func (r *runner) act(now time.Time) (time.Time, error) {
	r.metrics.waiting.Record(r.life, int64(r.book.waiting()))
	if now.Before(r.retryAt) {
		return r.retryAt, nil
	}
	j, wake := r.book.plan(now)
	if j == nil {
		return wake, nil
	}
	return r.deliver(j)
}

// commit tells the group how far everything was told. A partition that nobody
// committed before is committed only once it has caught up: from then on what
// is over is news.
func (r *runner) commit() error {
	offsets := map[int32]kgo.EpochOffset{}
	for partition, p := range r.book.parts {
		at, before := p.committable(), r.committed[partition]
		if at <= before || before < 0 && p.next < p.end {
			continue
		}
		if len(p.skipped) > 0 {
			if err := r.append(map[int32][]schemas.Notice{partition: p.skipped}); err != nil {
				return err
			}
			r.env.Log.Info("alerts that were over before the first start are not announced", "partition", partition, "alerts", len(p.skipped))
			p.skipped = nil
		}
		offsets[partition] = kgo.EpochOffset{Epoch: -1, Offset: at}
	}
	if len(offsets) == 0 {
		return nil
	}
	var failed error
	r.client.CommitOffsetsSync(r.life, map[string]map[int32]kgo.EpochOffset{findingsTopic(): offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
			failed = commitError(response, err)
		})
	if failed == nil {
		for partition, at := range offsets {
			r.committed[partition] = at.Offset
		}
		return nil
	}
	// It costs reading them again, no more: the notices say what was told.
	if held, yes := r.quiet.speak("commit", time.Now()); yes {
		r.env.Log.Warn("offsets not committed", "unlogged", held, "error", failed)
	}
	return nil
}

func commitError(response *kmsg.OffsetCommitResponse, err error) error {
	if err != nil {
		return err
	}
	for _, t := range response.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return fmt.Errorf("%s/%d: %w", t.Topic, p.Partition, err)
			}
		}
	}
	return nil
}

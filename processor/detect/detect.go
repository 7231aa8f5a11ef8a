package detect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
)

// A Finder is one member of the group. Several in one process do not know of each
// other.
type Finder struct {
	cfg        Config
	stats      *stats
	metrics    metric.Registration
	stopWithin time.Duration // what a stop leaves for the open transaction to end

	mu       sync.Mutex
	progress map[int32]int64
}

// Progress is how far an owned partition of activity is, as committed.
type Progress struct {
	Partition int32
	Next      int64 // offset of the next record
}

const (
	// stopWithin is enough for a turn and a broker that is slow, but not for one that
	// is gone.
	stopWithin = 5 * time.Second
	// retryAfter is the pause before a session is made anew after an error that a
	// retry may cure.
	retryAfter = time.Second
)

// New checks cfg. It opens nothing.
func New(cfg Config) (*Finder, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	f := &Finder{cfg: cfg, stats: newStats(), stopWithin: stopWithin, progress: make(map[int32]int64)}
	if err := f.instrument(cfg.Meter); err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	return f, nil
}

// Run finds until ctx ends, then ends the open transaction, leaves the group and
// returns nil: what was not committed is read again by the next owner. While
// brokers are away it waits for them. Any other error ends it: what it names needs
// a person. A finder runs once.
func (f *Finder) Run(ctx context.Context) error {
	defer f.metrics.Unregister() //nolint:errcheck // it cannot fail
	for {
		err := f.runOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		// Out of range: records went while this one was reading. The next session
		// says which, and goes on where the log begins.
		if !member.Retry(err) && !errors.Is(err, kerr.OffsetOutOfRange) {
			return err
		}
		f.cfg.Log.Warn("starting over from what is committed", "error", err)
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return nil
		}
	}
}

// runOnce reads and finds until ctx ends or something fails.
func (f *Finder) runOnce(ctx context.Context) error {
	if err := f.ensureTopics(ctx); err != nil {
		return err
	}
	plain, err := kgo.NewClient(f.cfg.Client...)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer plain.Close()
	guard, err := quarantine.Start(ctx, quarantine.Config{
		Client: f.cfg.Client, Group: f.cfg.Group, Reader: "activity", Dir: f.cfg.Quarantine, Log: f.cfg.Log,
	})
	if err != nil {
		return fmt.Errorf("detect: %w", err)
	}
	defer guard.Close() // what it says then is that nothing is being read
	m, err := member.Join(ctx, f.cfg.member(kadm.NewClient(plain)))
	if err != nil {
		return err
	}
	defer f.report(nil)
	s := &shell{Finder: f, member: m, guard: guard, adm: kadm.NewClient(plain), parts: map[int32]*partition{}, parked: map[int32]*partition{}}
	defer m.Leave()
	return s.run(ctx)
}

// ensureTopics makes the topics that are missing. It has a client of its own: one
// that has seen a topic missing believes so for a while.
func (f *Finder) ensureTopics(ctx context.Context) error {
	cl, err := kgo.NewClient(f.cfg.Client...)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	defer cl.Close()
	_, err = broker.Prepare(ctx, cl, f.cfg.Topics, f.cfg.Use())
	return err
}

// Progress lists the partitions that this finder owns and has recovered, in order.
func (f *Finder) Progress() []Progress {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Progress, 0, len(f.progress))
	for n, next := range f.progress {
		all = append(all, Progress{n, next})
	}
	slices.SortFunc(all, func(a, b Progress) int { return int(a.Partition - b.Partition) })
	return all
}

func (f *Finder) report(parts map[int32]*partition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.progress)
	for n, p := range parts {
		f.progress[n] = p.committed.offset
	}
}

func newDetector(cfg idle.Config) (*idle.Detector, error) {
	d, err := idle.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a detector: %w", err)
	}
	return d, nil
}

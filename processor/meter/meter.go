package meter

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
	"golang.org/x/sync/errgroup"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// A Meter is one member of the group. Several in one process do not know of each
// other.
type Meter struct {
	cfg     Config
	stats   *Stats
	metrics metric.Registration

	step        int64 // cells that a turn recomputes of what reaches back far, of each partition
	memory      *memory
	rebuildRows int64 // after how many samples an engine that rereads a topic is advanced

	stopWithin time.Duration     // what a stop leaves for the open transaction to end
	before     func(*kgo.Record) // called with each record before it is read: tests die there

	mu       sync.Mutex
	progress map[int32]Progress
	lag      map[int32]time.Duration
	backlog  map[int32]int64
}

// Progress is how far an owned partition is, as committed.
type Progress struct {
	Partition int32
	Samples   int64 // offset of the next samples record
	Position
}

// New checks cfg. It opens nothing.
func New(cfg Config) (*Meter, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	m := &Meter{
		cfg: cfg, stats: newStats(), stopWithin: stopWithin, rebuildRows: rebuildRows, step: stepCells,
		progress: make(map[int32]Progress), lag: make(map[int32]time.Duration), backlog: make(map[int32]int64),
		memory: newMemory(cfg.MemoryLimit, cfg.Log),
	}
	if err := m.instrument(cfg.Meter); err != nil {
		return nil, fmt.Errorf("meter: %w", err)
	}
	return m, nil
}

// Progress lists the partitions that this meter owns and has recovered, in
// order. A tick at offset t that names a horizon is published and committed for
// a partition once its Applied is above t.
func (m *Meter) Progress() []Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make([]Progress, 0, len(m.progress))
	for _, p := range m.progress {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Progress) int { return int(a.Partition - b.Partition) })
	return all
}

// Waiting is why the meter reads no further, nil while it does.
func (m *Meter) Waiting() error { return m.memory.waiting() }

// Summary is what the meter has done since it started.
func (m *Meter) Summary() Summary { return m.stats.summary() }

// retryAfter is the pause before a session is made anew after an error that a
// retry may cure.
const retryAfter = time.Second

// Run meters until ctx ends, then ends the open transaction, leaves the group
// and returns nil: what was not committed is read again by the next owner. While
// brokers are away it waits for them. Any other error ends it: what it names
// needs a person. A meter runs once.
func (m *Meter) Run(ctx context.Context) error {
	defer m.metrics.Unregister() //nolint:errcheck // it cannot fail
	for {
		err := m.runOnce(ctx)
		if ctx.Err() != nil {
			return nil
		}
		// Out of range: records went while this one was reading. The next session
		// says which, and goes on where the log begins.
		if !member.Retry(err) && !errors.Is(err, kerr.OffsetOutOfRange) {
			return err
		}
		m.cfg.Log.Warn("starting over from what is committed", "error", err)
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return nil
		}
	}
}

// runOnce reads and meters until ctx ends or something fails.
func (m *Meter) runOnce(ctx context.Context) error {
	partitions, err := m.ensureTopics(ctx)
	if err != nil {
		return err
	}
	plain, err := kgo.NewClient(m.cfg.plainOptions()...)
	if err != nil {
		return fmt.Errorf("making the client of the ticks: %w", err)
	}
	defer plain.Close()
	adm := kadm.NewClient(plain)
	guard, err := m.guard(ctx, "turns")
	if err != nil {
		return err
	}
	defer guard.Close() // what it says then is that nothing is being read
	// After the other, which may have condemned a record of a reference topic.
	reference, err := m.guard(ctx, "reference")
	if err != nil {
		return err
	}
	defer reference.Close() // as above
	self, err := member.Join(ctx, m.cfg.member(adm))
	if err != nil {
		return err
	}
	defer self.Leave()
	group, inner := errgroup.WithContext(ctx)
	group.Go(func() error { return m.writeTicks(inner, plain, self) })
	group.Go(func() error {
		defer m.forget()
		s := m.newShell(partitions, self, adm)
		s.guard, s.reference = guard, reference
		return s.run(inner)
	})
	return group.Wait()
}

// ensureTopics makes the topics that are missing, and finds the number of
// partitions of samples. It has a client of its own: one that has seen a topic
// missing believes so for a while.
func (m *Meter) ensureTopics(ctx context.Context) (partitions int32, err error) {
	cl, err := kgo.NewClient(m.cfg.Client...)
	if err != nil {
		return 0, fmt.Errorf("making a client: %w", err)
	}
	defer cl.Close()
	return broker.Prepare(ctx, cl, m.cfg.Topics, m.cfg.Use())
}

// refStarts lists where the reference topics start.
func refStarts(ctx context.Context, adm *kadm.Client) (starts Refs, err error) {
	topics := make([]string, 0, refCount)
	for i := range refCount {
		topics = append(topics, refTopic(i))
	}
	listed, err := adm.ListStartOffsets(ctx, topics...)
	if err = errors.Join(err, listed.Error()); err != nil {
		return starts, fmt.Errorf("listing where the reference topics start: %w", err)
	}
	for i := range refCount {
		o, _ := listed.Lookup(refTopic(i), 0)
		starts[i] = o.Offset
	}
	return starts, nil
}

func fromRefs(starts Refs) map[string]map[int32]kgo.Offset {
	from := make(map[string]map[int32]kgo.Offset, refCount)
	for i, offset := range starts {
		from[refTopic(i)] = map[int32]kgo.Offset{0: kgo.NewOffset().At(offset)}
	}
	return from
}

// report shows the owned partitions to Progress and to the lag metric. now is
// the broker's clock, 0 = not known.
func (m *Meter) report(parts map[int32]*partition, now int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.progress)
	clear(m.lag)
	clear(m.backlog)
	for n, p := range parts {
		m.progress[n] = Progress{Partition: n, Samples: p.committed.offset, Position: p.committed.position}
		m.backlog[n] = p.backlog()
		if now != 0 && p.at.Horizon != 0 {
			m.lag[n] = time.Duration(max(0, now-p.at.Horizon)) * time.Millisecond
		}
	}
}

// forget shows that nothing is owned any more.
func (m *Meter) forget() { m.report(nil, 0) }

func samplesTopic() string   { return schemas.Prefix + schemas.StreamSamples }
func processesTopic() string { return schemas.Prefix + schemas.StreamProcesses }

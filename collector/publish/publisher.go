package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// Rule 1: events before 2010 or more than ten minutes later than the run move
// nothing. They are published all the same: the processor judges and reports.
const (
	firstEvent = 1_262_304_000_000
	ahead      = 10 * time.Minute
)

// spares bounds the sample batches that are kept for their capacity.
const spares = 16

// A Publisher sends rows. Its methods may be called from several goroutines. It is
// a source.Sink: the methods that take a row return the first error that makes it
// no use to go on.
//
// Without a spool they block while the brokers do not keep up, rows of one caller
// keep their order, and an error means that some of what was accepted is not in
// Kafka, and never will be by this Publisher. With a spool they block no longer
// than its configuration says, rows may overtake each other, and what was
// accepted is in the spool when it is not in Kafka.
type Publisher struct {
	cfg       Config
	carrier   carrier
	lastEvent int64
	counts    *counts
	metrics   metric.Registration
	stop      chan struct{}
	sweeper   sync.WaitGroup

	mu      sync.Mutex
	encoder wire.SampleEncoder
	groups  map[groupKey]*group
	spare   []*samples
	held    int // rows in groups

	failure struct {
		sync.Mutex
		err error
	}
}

var _ source.Sink = (*Publisher)(nil)

// New makes a Publisher without a spool over client, which must have
// broker.ProducerOptions. Records are given up when life ends. now is the run's
// clock, for rule 1's bounds. Close it.
func New(life context.Context, client *kgo.Client, cfg Config, meter metric.Meter, now time.Time) (*Publisher, error) {
	p, err := start(cfg, meter, now)
	if err != nil {
		return nil, err
	}
	p.carrier = &direct{Publisher: p, life: life, client: client}
	p.sweeper.Go(p.sweep)
	return p, nil
}

// NewSpooled makes a Publisher with a spool. Its client must have SpooledOptions
// as well. When life ends, what the client has goes to the spool.
func NewSpooled(life context.Context, client *kgo.Client, cfg Config, how Spooling, meter metric.Meter, now time.Time) (*Publisher, error) {
	if err := how.Config.Validate(); err != nil {
		return nil, err
	}
	p, err := start(cfg, meter, now)
	if err != nil {
		return nil, err
	}
	to, err := newSpooled(life, p, client, how, meter)
	if err != nil {
		return nil, errors.Join(err, p.metrics.Unregister())
	}
	p.carrier = to
	p.sweeper.Go(p.sweep)
	return p, nil
}

// DirectOptions are what the client of a Publisher without a spool has beside
// broker.ProducerOptions, after the topics have been asked for by a client without
// them.
func DirectOptions() []kgo.Opt {
	return []kgo.Opt{
		// A broker that is going down accepts connections and closes them before it
		// has said anything, as one does that wants TLS. A client that asks for its
		// producer id just then gives its records up, and there is no spool to take
		// them. That the settings are right is known by now. (With a spool it would
		// hold them beyond their time, and a stop up.)
		kgo.AlwaysRetryEOF(),
	}
}

// SpooledOptions are what the client of a Publisher with a spool has beside
// broker.ProducerOptions.
func SpooledOptions() []kgo.Opt {
	return []kgo.Opt{
		// A record in flight whose time is up is taken back: the client would
		// otherwise hold it until the brokers are there again, in memory. Should it
		// have arrived, it is in Kafka twice, which is one event (rule 6).
		kgo.AllowIdempotentProduceCancellation(),
		// The client looks at whether a record's time is up when it is about to try
		// again, which it does after a pause of its own and once it has seen the
		// topics anew: after five seconds and more by default, in which a kill would
		// take the record.
		kgo.MetadataMinAge(calledOffWithin),
		kgo.RetryBackoffFn(func(int) time.Duration { return calledOffWithin/2 + rand.N(calledOffWithin/2) }),
	}
}

// calledOffWithin is about how long after its time a record is given back.
const calledOffWithin = 250 * time.Millisecond

// start makes a Publisher that lacks its carrier.
func start(cfg Config, meter metric.Meter, now time.Time) (*Publisher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	p := &Publisher{
		cfg: cfg, lastEvent: now.Add(ahead).UnixMilli(), counts: newCounts(),
		stop: make(chan struct{}), groups: map[groupKey]*group{},
	}
	var err error
	if p.metrics, err = p.counts.observe(meter); err != nil {
		return nil, fmt.Errorf("register the collector's metrics: %w", err)
	}
	return p, nil
}

// Close ends the Publisher, whose life must be over when it has a spool. What was
// not flushed is not sent.
func (p *Publisher) Close() error {
	close(p.stop)
	p.sweeper.Wait()
	return errors.Join(p.carrier.close(), p.metrics.Unregister())
}

// Stats is what happened so far.
func (p *Publisher) Stats() Stats {
	if s, ok := p.carrier.(*spooled); ok {
		return s.stats(p.counts.snapshot())
	}
	return p.counts.snapshot()
}

// Ignored counts a field that the contract does not know.
func (p *Publisher) Ignored(stream, field string) { p.counts.ignored(Field{stream, field}) }

// Sample accepts one sample.
func (p *Publisher) Sample(s *contract.Sample) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.failed(); err != nil {
		return err
	}
	key := groupKey{schemas.StreamSamples, s.Node}
	g := p.group(key, p.newSamples)
	if !g.batch.(*samples).Add(s) {
		if err := p.send(g); err != nil {
			return err
		}
		g = p.group(key, p.newSamples)
		g.batch.(*samples).Add(s)
	}
	p.event(s.TS)
	return p.accepted(g, 0)
}

func (p *Publisher) newSamples() batch {
	if n := len(p.spare); n > 0 {
		b := p.spare[n-1]
		p.spare = p.spare[:n-1]
		return b
	}
	return &samples{}
}

// Process accepts one reading of a process.
func (p *Publisher) Process(row schemas.Process) error { return add(p, row) }

// Allocation accepts one event of an allocation.
func (p *Publisher) Allocation(row schemas.Allocation) error { return add(p, row) }

// Resource accepts one resource.
func (p *Publisher) Resource(row schemas.Resource) error { return add(p, row) }

// Price accepts one price.
func (p *Publisher) Price(row schemas.Price) error { return add(p, row) }

// Tag accepts one attribution rule.
func (p *Publisher) Tag(row schemas.Tag) error { return add(p, row) }

// DeadLetter accepts what a source refused.
func (p *Publisher) DeadLetter(row schemas.DeadLetter) error {
	p.counts.deadLetter(row.Reason)
	return add(p, row)
}

func add[T wire.Row](p *Publisher, row T) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.failed(); err != nil {
		return err
	}
	to := routeOf(&row)
	g := p.group(to.groupKey, func() batch { return &rows[T]{} })
	g.batch.(*rows[T]).add(to.record, row)
	if to.event {
		p.event(to.ts)
	}
	return p.accepted(g, to.bytes)
}

func (p *Publisher) group(key groupKey, fresh func() batch) *group {
	g := p.groups[key]
	if g == nil {
		g = &group{groupKey: key, since: time.Now(), batch: fresh()}
		p.groups[key] = g
	}
	return g
}

func (p *Publisher) event(ts int64) {
	if ts >= firstEvent && ts <= p.lastEvent {
		p.counts.event(ts)
	}
}

// accepted accounts for the row just added to g and sends what is due.
func (p *Publisher) accepted(g *group, size int) error {
	p.held++
	g.bytes += size
	if g.batch.Len() >= p.cfg.Rows || g.bytes >= groupBytes {
		return p.send(g)
	}
	if p.held < p.cfg.Buffer {
		return nil
	}
	return p.relieve()
}

// relieve sends the largest groups until half of the buffer is free. Sending
// only the largest would look at every group again for the next row.
func (p *Publisher) relieve() error {
	largest := make([]*group, 0, len(p.groups))
	for _, g := range p.groups {
		largest = append(largest, g)
	}
	slices.SortFunc(largest, func(a, b *group) int { return cmp.Compare(b.batch.Len(), a.batch.Len()) })
	for _, g := range largest {
		if p.held <= p.cfg.Buffer/2 {
			break
		}
		if err := p.send(g); err != nil {
			return err
		}
	}
	return nil
}

// send makes a record of g and hands it to the carrier.
func (p *Publisher) send(g *group) error {
	n := g.batch.Len()
	delete(p.groups, g.groupKey)
	p.held -= n
	rec, err := g.batch.record(&p.encoder)
	if err != nil {
		return p.fail(fmt.Errorf("encode %d rows of %s: %w", n, g.stream, err))
	}
	if s, ok := g.batch.(*samples); ok && len(p.spare) < spares {
		s.Reset()
		p.spare = append(p.spare, s)
	}
	p.counts.stream(g.stream, func(s *StreamStats) { s.Rows += int64(n) })
	p.carrier.send(parcel{rec, g.stream, n})
	return p.failed()
}

// fail keeps the first error, which all later calls return.
func (p *Publisher) fail(err error) error {
	p.failure.Lock()
	defer p.failure.Unlock()
	if p.failure.err == nil {
		p.failure.err = err
	}
	return p.failure.err
}

func (p *Publisher) failed() error {
	p.failure.Lock()
	defer p.failure.Unlock()
	return p.failure.err
}

// Flush sends everything that was accepted and waits until the brokers have it;
// with a spool, until they have what is in it, too, or, at a stop while they are
// away, until everything is in it.
func (p *Publisher) Flush(ctx context.Context) error {
	p.mu.Lock()
	err := p.sendOlder(time.Time{})
	p.mu.Unlock()
	if err != nil {
		return err
	}
	return p.carrier.flush(ctx)
}

// sendOlder sends the groups begun before t, all of them when t is zero.
// A failure does not end it: a spool takes the rest.
func (p *Publisher) sendOlder(t time.Time) error {
	for _, g := range p.groups {
		if t.IsZero() || g.since.Before(t) {
			_ = p.send(g) // kept
		}
	}
	return p.failed()
}

// sweep sends what has waited: it looks four times in that span, and takes what
// would be too old at the next look.
func (p *Publisher) sweep() {
	tick := time.NewTicker(p.cfg.Wait / 4)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case now := <-tick.C:
			p.mu.Lock()
			_ = p.sendOlder(now.Add(-p.cfg.Wait * 3 / 4)) // kept: the next call returns it
			p.mu.Unlock()
		}
	}
}

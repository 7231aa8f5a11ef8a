package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/collector/spool"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// Spooling is what a Publisher needs to outlast the brokers' absence.
type Spooling struct {
	Config   SpoolConfig
	Backlog  func() (*kgo.Client, error)     // makes the client that brings what is spooled to the brokers
	Topics   func(ctx context.Context) error // makes sure of the topics: until it succeeds everything is spooled
	Ready    func()                          // is called when it did, unless nil
	Stopping <-chan struct{}                 // is closed when the collector should stop
	Log      *slog.Logger
}

// dispensable lists the streams in the order in which they are dropped when the
// spool is full. Processes are not in the ledger. Time without samples is
// unknown, and still its allocation's cost. Without allocations it is nobody's,
// and without the resource there is no cost at all.
func dispensable() []string {
	return []string{
		schemas.StreamProcesses, schemas.StreamSamples, schemas.StreamDeadLetters, schemas.StreamTags,
		schemas.StreamPrices, schemas.StreamAllocations, schemas.StreamResources,
	}
}

// spooled hands records to the client while the brokers answer, and to the spool
// while they do not. A record is in one place at a time:
//
//	           ┌─► client, for at most after ─┬─► acknowledged
//	send ──────┤                              │ not in time, refused for now, or the end
//	           └─► spool ◄────────────────────┘
//	                 └─► backlog's client, until it is ─► acknowledged
//
// Directly goes what comes while the topics are there and nothing says that the
// brokers are away; a record that was not acknowledged in time says so, until
// any other is acknowledged. As the backlog has a client of its own, what comes
// meanwhile does not wait behind it.
type spooled struct {
	*Publisher
	Spooling
	life    context.Context
	client  *kgo.Client
	spool   *spool.Spool
	atStart map[string]spool.Counts
	metrics metric.Registration
	loops   sync.WaitGroup
	more    chan struct{} // holds one when the spool may have something new

	mu     sync.Mutex
	change *sync.Cond // of what follows, and of the spool
	ready  bool       // the topics are there
	away   bool       // a record was not acknowledged in time
	flying int        // records that the client has
}

func newSpooled(life context.Context, p *Publisher, client *kgo.Client, how Spooling, meter metric.Meter) (*spooled, error) {
	disk, err := spool.Open(how.Config.Disk, dispensable())
	if err != nil {
		return nil, err
	}
	s := &spooled{
		Publisher: p, Spooling: how, life: life, client: client, spool: disk, atStart: disk.Left(),
		more: make(chan struct{}, 1),
	}
	s.change = sync.NewCond(&s.mu)
	if s.metrics, err = s.observe(meter); err != nil {
		return nil, errors.Join(fmt.Errorf("register the spool's metrics: %w", err), disk.Close())
	}
	if left := disk.Streams(); len(left) > 0 {
		how.Log.Info("the spool holds what an earlier run could not send", "streams", left, "bytes", disk.Bytes(), "dir", how.Config.Disk.Dir)
	}
	s.loops.Go(s.connect)
	s.loops.Go(s.keepWatch)
	return s, nil
}

// connect makes sure of the topics, then brings what is spooled to the brokers.
func (s *spooled) connect() {
	var said time.Time
	for {
		err := s.Topics(s.life)
		switch {
		case err == nil:
			s.set(func() { s.ready = true })
			if s.Ready != nil {
				s.Ready()
			}
			s.drain()
			return
		case s.life.Err() != nil:
			return
		case broker.Classify(err) != broker.Retry:
			_ = s.fail(err)
			s.set(func() {})
			return
		}
		if time.Since(said) > sayAgain {
			s.Log.Warn("the brokers are not there yet; what is collected goes to the spool", "error", err)
			said = time.Now()
		}
		select {
		case <-s.life.Done():
		case <-time.After(s.Config.After):
		}
	}
}

// set changes the state and wakes who waits for it.
func (s *spooled) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.change.Broadcast()
}

// send implements carrier. It blocks while the client's buffer is full, for after
// at most.
func (s *spooled) send(p parcel) {
	if !s.takeOff() {
		s.keep(p)
		return
	}
	// Without a limit of its own a record would wait in the client for ever, and
	// be lost with it. One that is called off may have arrived: it comes again, as
	// the same event, which counts once.
	ctx, cancel := context.WithTimeout(s.life, s.Config.After)
	s.client.Produce(ctx, p.record, func(_ *kgo.Record, err error) {
		cancel()
		s.landed(p, err)
	})
}

// takeOff tells whether a record goes directly. When the spool is empty one always
// tries: the disk may be what does not work.
func (s *spooled) takeOff() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready || s.away && !s.spool.Empty() {
		return false
	}
	s.flying++
	return true
}

// landed says what became of a record that went directly.
func (s *spooled) landed(p parcel, err error) {
	away := false
	switch {
	case err == nil:
		s.counts.acknowledged(p)
	case broker.Classify(err) == broker.DeadLetter:
		s.refuse(p, err)
	default:
		s.keep(p)
		away = true
		if broker.Classify(err) == broker.Stop && s.life.Err() == nil {
			_ = s.fail(fmt.Errorf("publish %d rows to %s: %w", p.rows, p.record.Topic, err))
		}
	}
	s.set(func() { s.flying--; s.away = away })
}

// keep puts a record into the spool. What it does not take is counted there.
func (s *spooled) keep(p parcel) {
	_ = s.spool.Append(p.stream, p.rows, p.pack()) // the watch logs what is dropped, not so often
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// refuse gives up a record that the brokers will never take: it becomes a dead
// letter, by way of the spool.
func (s *spooled) refuse(p parcel, why error) {
	s.counts.stream(p.stream, func(c *StreamStats) { c.Refused += int64(p.rows) })
	s.Log.Error("the brokers refuse a record", "topic", p.record.Topic, "rows", p.rows, "bytes", len(p.record.Value), "error", why)
	if p.stream == schemas.StreamDeadLetters {
		return
	}
	letter := schemas.DeadLetter{
		Stream: p.stream, Place: "key " + string(p.record.Key), Reason: schemas.ReasonRefused, Count: int64(p.rows),
		Detail:  fmt.Sprintf("the brokers refuse a record of %d rows, %d bytes: %v: compare the topic's max.message.bytes with what gpumeter topics says", p.rows, len(p.record.Value), why),
		Payload: p.record.Value[:min(len(p.record.Value), schemas.MaxPayload)],
	}
	s.counts.deadLetter(letter.Reason)
	rec, err := wire.Encode(letter.Stream, []schemas.DeadLetter{letter})
	if err != nil {
		s.Log.Error("a dead letter cannot be encoded", "error", err)
		return
	}
	s.counts.stream(schemas.StreamDeadLetters, func(c *StreamStats) { c.Rows++ })
	s.keep(parcel{rec, schemas.StreamDeadLetters, 1})
}

// flush implements carrier: what was sent is acknowledged or in the spool. It
// waits for the spool to be empty, but at a stop, while the brokers are away.
func (s *spooled) flush(ctx context.Context) error {
	wake := func() { s.set(func() {}) }
	defer context.AfterFunc(ctx, wake)()
	done := make(chan struct{})
	defer close(done)
	go func() {
		select {
		case <-s.Stopping:
			wake()
		case <-done:
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	for ctx.Err() == nil && s.failed() == nil && (s.flying > 0 || s.catchesUp()) {
		s.change.Wait()
	}
	return s.failed()
}

// catchesUp tells that the spool is worth waiting for.
func (s *spooled) catchesUp() bool {
	hopeless := s.stopping() && (s.away || !s.ready)
	return !hopeless && !s.spool.Empty()
}

func (s *spooled) stopping() bool {
	select {
	case <-s.Stopping:
		return true
	default:
		return false
	}
}

// close implements carrier. What the client still has comes back, as life is
// over, and goes to the spool.
func (s *spooled) close() error {
	s.mu.Lock()
	for s.flying > 0 {
		s.change.Wait()
	}
	s.mu.Unlock()
	s.loops.Wait()
	s.report()
	return errors.Join(s.spool.Close(), s.metrics.Unregister())
}

// report says what the next start will find.
func (s *spooled) report() {
	for stream, c := range s.spool.Counts() {
		if c.Held() > 0 {
			s.Log.Warn("kept in the spool: the next start sends it", "stream", stream, "rows", c.Held(), "dir", s.Config.Disk.Dir)
		}
	}
}

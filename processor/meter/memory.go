package meter

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What keeps a meter to its memory limit, beside the collector of garbage, is that
// it reads no further while what is live comes near the limit: what it has read is
// given to the engines, advanced, committed and archived meanwhile, and what it has
// not is safe in Kafka. Where that does not help, what is to be held is more than
// the limit allows. Then the meter waits and says so. It does not end: the members
// that got its partitions would be the next.

// A memory says when there is no room for more input.
type memory struct {
	limit     int64 // bytes, 0 = none
	log       *slog.Logger
	live      func() int64  // bytes that were live when garbage was last collected
	patience  time.Duration // for how long a want of room is no news
	collected time.Time     // when garbage was collected last for want of room
	said      time.Time

	mu    sync.Mutex
	since time.Time // there has been no room since; zero = there is
	held  int64     // bytes that were live then
}

const (
	// roomFor is the part of the limit that may be live. The rest is for a turn's
	// garbage: the closer live memory comes to the limit, the more time collecting
	// takes.
	roomNumerator, roomDenominator = 3, 4
	// collectEvery is how often it is looked whether there is room again: while
	// nothing is read, little is allocated, and nothing collected.
	collectEvery = time.Second
	roomPatience = 10 * time.Second
	sayAgain     = time.Minute
	leastLimit   = 128 << 20
)

// errNoRoom says that engines could not be made within the limit.
var errNoRoom = errors.New("no room")

func newMemory(limit int64, log *slog.Logger) *memory {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	live := func() int64 {
		metrics.Read(samples)
		return int64(samples[0].Value.Uint64())
	}
	return &memory{limit: limit, log: log, live: live, patience: roomPatience}
}

// short reports whether there is no room for more input. For the loop's goroutine.
func (m *memory) short() bool {
	if m.limit == 0 {
		return false
	}
	live := m.live()
	if live > m.most() && time.Since(m.collected) >= collectEvery {
		runtime.GC()
		live, m.collected = m.live(), time.Now()
	}
	short := live > m.most()
	m.note(short, live)
	return short
}

// note keeps since when there has been no room.
func (m *memory) note(short bool, live int64) {
	m.mu.Lock()
	switch {
	case !short:
		m.since = time.Time{}
	case m.since.IsZero():
		m.since = time.Now()
	}
	m.held = live
	m.mu.Unlock()
	if !short && !m.said.IsZero() {
		m.said = time.Time{}
		m.log.Info("reading on: there is room again", "live_bytes", live, "limit_bytes", m.limit)
	}
	m.say()
}

// say logs why nothing is read, from time to time. For the loop's goroutine.
func (m *memory) say() {
	if err := m.waiting(); err != nil && time.Since(m.said) >= sayAgain {
		m.said = time.Now()
		m.log.Error("reading no further", "error", err)
	}
}

// most is how much may be live while there is room for more input.
func (m *memory) most() int64 { return m.limit / roomDenominator * roomNumerator }

// waited is for how long there has been no room. For any goroutine.
func (m *memory) waited() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.since.IsZero() {
		return 0
	}
	return time.Since(m.since)
}

// waiting is why nothing is read, once that is news. For any goroutine.
func (m *memory) waiting() error {
	waited := m.waited()
	if waited == 0 || waited < m.patience {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Errorf("for %v %d MiB have been live, and memory.limit is %d MiB: shorten state.hot (and set state.dir, if it is not), add members to the group, or raise the limit; nothing is lost, input waits in Kafka",
		waited.Round(time.Second), m.held>>20, m.limit>>20)
}

// share is the part of the limit that something may take, at most what it takes
// where there is no limit.
func (m *memory) share(part, unlimited int64) int64 {
	if m.limit == 0 {
		return unlimited
	}
	return min(unlimited, m.limit/part)
}

// Buffers size what clients hold so that, with a group of brokers of any usual size,
// it is a small part of a limit [bytes]; 0 = none. They go behind other options.
func Buffers(limit int64) []kgo.Opt {
	if limit == 0 {
		return nil
	}
	return []kgo.Opt{
		// One for each broker and client, and at least one batch.
		kgo.FetchMaxBytes(int32(min(32<<20, max(256<<10, limit/512)))),
		// A transaction's records wait here for the brokers.
		kgo.MaxBufferedBytes(int(min(64<<20, max(8<<20, limit/16)))),
	}
}

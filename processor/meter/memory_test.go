package meter

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// A heap is what a meter believes to be live. It keeps what the meter says.
type heap struct {
	bytes atomic.Int64
	mu    sync.Mutex
	said  bytes.Buffer
}

func (h *heap) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.said.Write(p)
}

func (h *heap) says(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(h.said.String(), text)
}

const testLimit = 1 << 30

// limited starts a meter that has a limit and believes h.
func (c *cluster) limited(name string, h *heap) *running {
	c.t.Helper()
	cfg := c.config(name)
	cfg.MemoryLimit, cfg.Log = testLimit, slog.New(slog.NewTextHandler(h, nil))
	m, err := New(cfg)
	if err != nil {
		c.t.Fatal(err)
	}
	m.memory.live, m.memory.patience = h.bytes.Load, 100*time.Millisecond
	return run(c.t, m)
}

// Without room nothing is read, what was read goes on, and it is said; with room all
// is as if nothing had been.
func TestReadsNoFurtherWithoutRoom(t *testing.T) {
	t.Parallel()
	c, s, h := newCluster(t), newStory(41, 3), &heap{}
	m := c.limited("a", h)
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 120_000)
	h.bytes.Store(testLimit)
	await(t, "the want of room to be noticed", func() bool { return m.Waiting() != nil })
	if err := m.Waiting(); !strings.Contains(err.Error(), "memory.limit is 1024 MiB") || !strings.Contains(err.Error(), "state.hot") {
		t.Errorf("it says %v", err)
	}
	read := m.Summary().Rows[schemas.StreamSamples]
	for _, ch := range s.chapters[1:] {
		c.publish(&ch)
	}
	last := rows(c, s.chapters[2].tags...).Offset
	await(t, "reference events to go on", func() bool {
		return m.Summary().Rows[schemas.StreamTags] >= 4
	})
	rows(c, schemas.Tick{}) // time goes on
	if n := m.Summary().Rows[schemas.StreamSamples]; n != read {
		t.Errorf("%d samples were read without room, beside %d", n-read, read)
	}
	h.bytes.Store(0)
	c.finish(s.horizon)
	if err := m.Waiting(); err != nil {
		t.Errorf("with room it says %v", err)
	}
	if p := m.Progress(); p[0].Refs[refTags] <= last {
		t.Errorf("tags below %d, of %d, count", p[0].Refs[refTags], last)
	}
	c.check(s)
}

// A member whose partitions do not fit does not end: it waits until others take some.
func TestPartitionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), newStory(42, 2)
	m := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 60_000)
	m.stop()
	h := &heap{}
	h.bytes.Store(testLimit)
	m = c.limited("a", h)
	await(t, "the want of room to be noticed", func() bool { return m.Waiting() != nil })
	c.publish(&s.chapters[1])
	await(t, "it to be said", func() bool { return h.says("reading no further") })
	if p := m.Progress(); len(p) != 0 {
		t.Errorf("it has %d partitions that do not fit", len(p))
	}
	h.bytes.Store(0) // half of them would fit
	other := start(t, c.config("b"))
	c.finish(s.horizon)
	if len(m.Progress()) == 0 || len(other.Progress()) == 0 || m.Waiting() != nil {
		t.Errorf("partitions: %d and %d; it says %v", len(m.Progress()), len(other.Progress()), m.Waiting())
	}
	c.check(s)
}

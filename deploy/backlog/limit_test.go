package backlog

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	limit = 128 << 20
	// beside is what a process has in RAM and its runtime does not count: the program
	// itself, for the most part.
	beside = 48 << 20
)

func limited(bytes int) string { return fmt.Sprintf("memory.limit=%d", bytes) }

// within holds a process to a limit.
func (c *child) within(bytes int64) {
	c.t.Helper()
	peak := c.peak()
	c.t.Logf("%d MiB in RAM at most, with a limit of %d MiB", peak>>20, bytes>>20)
	if peak > bytes+beside {
		c.t.Errorf("%d MiB in RAM at most, with a limit of %d MiB", peak>>20, bytes>>20)
	}
}

// A backlog that takes several times the limit is worked off within it, and makes the
// same rows.
func TestBacklogKeepsTheLimit(t *testing.T) {
	t.Parallel()
	b, binary := newBench(t), binary(t)
	f := &fleet{t: t, nodes: 200}
	back := time.Now().Truncate(collect * time.Second).UnixMilli()
	f.begin = back - back%minute - 60*minute
	b.know(f)
	b.tell(f, f.begin, back)
	c := b.start(binary, "state.dir="+t.TempDir(), "state.hot=1m", limited(limit))
	b.await("the backlog to be worked off", func() bool { return b.lag() == 0 })
	b.finish(back + minute)
	c.within(limit)
	c.stop()
	t.Logf("%d MiB of samples, computed for %v", (back-f.begin)/second*int64(f.perSecond())*64>>20, c.computed())
	b.check(f, back)
}

// A processor that cannot hold what it has to, here for want of an archive, neither
// takes more nor ends: it says why it is of no use, and can be stopped. With a higher
// limit it goes on, and nothing is missing.
func TestStateThatDoesNotFit(t *testing.T) {
	t.Parallel()
	b, binary := newBench(t), binary(t)
	f := &fleet{t: t, nodes: 600}
	back := time.Now().Truncate(collect * time.Second).UnixMilli()
	f.begin = back - back%minute - 6*minute
	b.know(f)
	b.tell(f, f.begin, back)
	c := b.start(binary, limited(limit))
	b.await("it to say so", func() bool {
		code, why := c.ready()
		return code == http.StatusServiceUnavailable && strings.Contains(why, "memory.limit is 128 MiB")
	})
	if lag := b.lag(); lag == 0 {
		t.Error("it has read everything")
	}
	c.within(limit)
	b.await("its log to name the fix", func() bool {
		text := c.log.String()
		return strings.Contains(text, "level=ERROR") && strings.Contains(text, "set state.dir")
	})
	c.stop()
	c = b.start(binary, limited(8*limit))
	b.await("the backlog to be worked off", func() bool { return b.lag() == 0 })
	b.finish(back + minute)
	c.within(8 * limit)
	c.stop()
	b.check(f, back)
}

package meter

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
)

// history publishes records of one allocation each, and returns where the topic ends.
func (c *cluster) history(records int) (end int64) {
	c.t.Helper()
	for n := range records {
		a := schemas.Allocation{TS: t0 + int64(n), Event: schemas.EventStart, Allocation: fmt.Sprintf("old-%d", n), ReqGPUs: -1, ReqWalltime: -1}
		end = rows(c, a).Offset + 1
	}
	return end
}

func (c *cluster) openLog(from Refs, room int64) *refLog {
	c.t.Helper()
	cfg := c.config("reader").withDefaults()
	guard, err := quarantine.Start(c.t.Context(), quarantine.Config{Client: cfg.Client, Group: cfg.Group, Reader: "reference", Log: cfg.Log})
	if err != nil {
		c.t.Fatal(err)
	}
	l, err := openRefLog(cfg.plainOptions(), from, room, guard, newStats())
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(l.close)
	return l
}

// The log holds what engines lack, however much has gone through it, and reads no
// further while that is too much.
func TestReferenceLogIsBounded(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	const room = 40 * rowWeight
	end := c.history(300)
	l := c.openLog(Refs{}, room)
	var read Refs
	for read[refAllocations] < end {
		await(t, "the log to be full or to have read all", func() bool {
			v, err := l.view()
			if err != nil {
				t.Fatal(err)
			}
			return l.full() || v.topics[refAllocations].next == end
		})
		v, _ := l.view()
		entries := v.topics[refAllocations].entries
		for i := range entries {
			if want := read[refAllocations] + int64(i); entries[i].offset != want {
				t.Fatalf("entry %d has offset %d, want %d", i, entries[i].offset, want)
			}
		}
		read[refAllocations] += int64(min(10, len(entries))) // the slowest engine
		l.drop(read)
		if v, _ := l.view(); len(v.topics[refAllocations].entries) > 0 && v.topics[refAllocations].entries[0].offset != read[refAllocations] {
			t.Fatalf("what begins at %d was dropped", read[refAllocations])
		}
	}
	if v, _ := l.view(); len(v.topics[refAllocations].entries) != 0 || l.held != 0 {
		t.Errorf("%d entries of %d bytes are left", len(v.topics[refAllocations].entries), l.held)
	}
	if l.has(Refs{}) || !l.has(read) {
		t.Errorf("a log from %v on says that it has %v", read, Refs{})
	}
}

// A full log goes on when engines have taken something, not before.
func TestFullReferenceLogReadsNoFurther(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	l := c.openLog(Refs{}, 5*rowWeight)
	c.history(2 * logRecords)
	await(t, "the log to be full", l.full)
	l.drop(Refs{})
	v, _ := l.view()
	if n := len(v.topics[refAllocations].entries); n > logRecords {
		t.Errorf("a full log has %d entries", n)
	}
	l.drop(Refs{refAllocations: v.topics[refAllocations].next})
	await(t, "the log to read on", func() bool {
		now, _ := l.view()
		return now.topics[refAllocations].next > v.topics[refAllocations].next
	})
}

// Engines that are made after the log has dropped what others had get the same, in
// this process and in another.
func TestEnginesThatComeLateGetTheHistory(t *testing.T) {
	t.Parallel()
	c, s := newCluster(t), newStory(31, 6)
	a := start(t, c.config("a"))
	for i := range 2 {
		c.publish(&s.chapters[i])
		c.finish(s.horizon - int64(6-i)*60_000)
	}
	var wire cable
	b := start(t, c.config("b", wire.options()...))
	await(t, "b to own some", func() bool { return len(b.Progress()) > 0 && len(a.Progress())+len(b.Progress()) == testPartitions })
	for i := 2; i < 4; i++ {
		c.publish(&s.chapters[i])
		c.finish(s.horizon - int64(6-i)*60_000)
	}
	wire.pull() // b hears nothing of what follows; a gives it to its engines, and drops it
	b.cancel()
	c.publish(&s.chapters[4])
	last := rows(c, s.chapters[5].tags...).Offset
	await(t, "a to have it", func() bool {
		return slices.ContainsFunc(a.Progress(), func(p Progress) bool { return p.Refs[refTags] > last })
	})
	await(t, "a to own all", func() bool { return len(a.Progress()) == testPartitions })
	c.publish(&s.chapters[5])
	c.finish(s.horizon)
	c.check(s)
}

// With an archive, a restart does not read the allocations that the archive is as of.
func TestArchiveSparesTheHistory(t *testing.T) {
	t.Parallel()
	c, chapters := newCluster(t), fleet()
	cfg, _ := c.archived("a", t.TempDir())
	m := start(t, cfg)
	c.publish(&chapters[0])
	c.history(50)
	c.finish(fleetEnd - 420_000)
	m.stop()

	var read [refCount]atomic.Int64
	m = startReading(t, cfg, func(rec *kgo.Record) {
		if i := refOf(rec.Topic); i >= 0 {
			read[i].Add(1)
		}
	})
	await(t, "recovery", func() bool { return len(m.Progress()) == testPartitions })
	if read[refResources].Load() == 0 {
		t.Error("resources, of which archives have none, were not read")
	}
	if n := read[refAllocations].Load(); n != 0 {
		t.Errorf("%d records of allocations were read, of 51 that the archives are as of", n)
	}
	c.publish(&chapters[1])
	c.finish(fleetEnd)
	c.checkFacts(chapters)
}

// startReading is start with a look at each record before it is read.
func startReading(t *testing.T, cfg Config, before func(*kgo.Record)) *running {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.before = before
	return run(t, m)
}

// A tick that names a horizon may wait for its inputs while its reader goes: it is
// committed as read when it is applied.
func TestTickIsReadUntilItIsApplied(t *testing.T) {
	e, err := newLedger(engine.Config{Window: 60_000})
	if err != nil {
		t.Fatal(err)
	}
	p := &partition{engine: e}
	v := view{named: []tick{{offset: 3, horizon: t0}, {offset: 7, horizon: t0 + 1}}}
	v.topics[refTicks].next = 9
	for _, c := range []struct{ applied, want int64 }{{0, 3}, {4, 7}, {8, 9}} {
		p.at.Applied = c.applied
		p.feed(&v, &feeding{guard: &quarantine.Guard{}, room: 1}, nil)
		if got := p.at.Refs[refTicks]; got != c.want {
			t.Errorf("with ticks below %d applied, those below %d count as read, want %d", c.applied, got, c.want)
		}
	}
	c := clock{named: []mark{{tick: v.named[0]}}}
	if !c.news(&v) || len(c.unseen(&v)) != 1 || c.unseen(&v)[0].offset != 7 {
		t.Errorf("unseen beside the first: %v", c.unseen(&v))
	}
}

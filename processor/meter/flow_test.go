package meter

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
)

// t0 is a whole minute of event time.
const t0 = int64(1_780_275_600_000)

// A story is a set of events, split into chapters that are published one after
// the other, and the ledger that they make.
type story struct {
	chapters []chapter
	horizon  int64
}

type chapter struct {
	samples     []*schemas.Samples
	allocations []schemas.Allocation
	resources   []schemas.Resource
	prices      []schemas.Price
	tags        []schemas.Tag
}

// newStory has events of 12 nodes in some chapters of which each can change any
// cell: late samples, events that come long after what they concern.
func newStory(seed uint64, chapters int) *story {
	r := rand.New(rand.NewPCG(seed, 1))
	s := &story{horizon: t0 + 20*60_000}
	for c := range chapters {
		var ch chapter
		for n := range 12 {
			node := fmt.Sprintf("node-%d", n)
			ts := make([]int64, 0, 5)
			for range 5 {
				ts = append(ts, t0+int64(r.IntN(20*60))*1000)
			}
			ch.samples = append(ch.samples, samplesAt(node, fmt.Sprintf("gpu-%d", r.IntN(2)), ts...))
		}
		id := fmt.Sprintf("a-%d", c)
		ch.allocations = append(ch.allocations, schemas.Allocation{TS: t0 + int64(r.IntN(1000)), Event: schemas.EventStart, Allocation: id, ReqGPUs: -1, ReqWalltime: -1})
		ch.resources = append(ch.resources, schemas.Resource{Node: "node-1", Resource: fmt.Sprintf("r-%d", c), From: t0, IdleWatts: schemas.Absent32})
		ch.prices = append(ch.prices, schemas.Price{Provider: "aws", Currency: "USD", PerHour: int64(c + 1), From: t0})
		ch.tags = append(ch.tags, schemas.Tag{Match: "user=*", Set: fmt.Sprintf("team=%d", c), From: t0})
		s.chapters = append(s.chapters, ch)
	}
	s.chapters[0].allocations = append(s.chapters[0].allocations,
		schemas.Allocation{TS: t0, Event: schemas.EventEnd, Allocation: "ghost", ReqGPUs: -1, ReqWalltime: -1})
	return s
}

func (c *cluster) publish(ch *chapter) {
	c.t.Helper()
	for _, b := range ch.samples {
		c.produce(b)
	}
	rows(c, ch.allocations...)
	rows(c, ch.resources...)
	rows(c, ch.prices...)
	rows(c, ch.tags...)
}

// finish publishes the tick that ends a replay.
func (c *cluster) finish(horizon int64) {
	c.t.Helper()
	c.settled(rows(c, schemas.Tick{Horizon: horizon, Final: true}))
}

// cells feeds one engine directly: what any group of meters must have published.
func (s *story) cells(t *testing.T) map[cellKey]cellValue {
	t.Helper()
	e, err := newLedger(engine.Config{Window: 60_000, Grace: 30_000})
	if err != nil {
		t.Fatal(err)
	}
	for i := range s.chapters {
		feedChapter(e, &s.chapters[i])
	}
	e.Advance(s.horizon, true, nil)
	return e.(*ledger).published
}

func feedChapter(e Engine, ch *chapter) {
	for _, b := range ch.samples {
		e.AddSamples(b)
	}
	each(ch.allocations, e.AddAllocation)
	each(ch.resources, e.AddResource)
	each(ch.prices, e.AddPrice)
	each(ch.tags, e.AddTag)
}

// check compares what was published with the story.
func (c *cluster) check(s *story) {
	c.t.Helper()
	want, got := s.cells(c.t), c.published()
	if !maps.Equal(want, got) {
		for k, v := range want {
			if got[k] != v {
				c.t.Errorf("cell %v: published %+v, want %+v, for example", k, got[k], v)
				break
			}
		}
		c.t.Fatalf("published %d cells, want %d", len(got), len(want))
	}
	ghosts := 0
	for _, l := range c.letters() {
		if l.Reason == schemas.ReasonNoStart && l.Place == "ghost" {
			ghosts++
		}
	}
	if ghosts != 1 {
		c.t.Errorf("the orphan was reported %d times", ghosts)
	}
}

func TestOneMemberPublishesTheLedger(t *testing.T) {
	c, s := newCluster(t), newStory(1, 3)
	m := start(t, c.config("a"))
	for i := range s.chapters {
		c.publish(&s.chapters[i])
	}
	c.finish(s.horizon)
	c.check(s)

	sum := m.Summary()
	if sum.Rows[schemas.StreamSamples] != 3*12*5 || sum.Rows[schemas.StreamAllocations] != 4 || sum.Rows[schemas.StreamPrices] != 3 {
		t.Errorf("rows read: %v", sum.Rows)
	}
	if sum.Cells != int64(len(s.cells(t))) || sum.Transactions == 0 || sum.Aborts != 0 || sum.DeadLetters[schemas.ReasonNoStart] != 1 {
		t.Errorf("summary: %+v", sum)
	}
	progress := m.Progress()
	if len(progress) != testPartitions {
		t.Fatalf("progress: %+v", progress)
	}
	for _, p := range progress {
		if p.Horizon != s.horizon || !p.Final || p.Applied != 1 {
			t.Errorf("progress: %+v", p)
		}
	}
	m.stop()
}

// Events of later chapters change what earlier ticks have published.
func TestRestatement(t *testing.T) {
	c, s := newCluster(t), newStory(2, 4)
	start(t, c.config("a"))
	for i := range s.chapters {
		c.publish(&s.chapters[i])
		c.finish(s.horizon - int64(len(s.chapters)-1-i)*60_000)
	}
	c.check(s)
}

func TestRestartPublishesNothingAnew(t *testing.T) {
	c, s := newCluster(t), newStory(3, 2)
	m := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	c.publish(&s.chapters[1])
	c.finish(s.horizon)
	m.stop()
	before := len(c.readAll(schemas.StreamCost)) + len(c.readAll(schemas.StreamDeadLetters))

	m = start(t, c.config("a"))
	await(t, "recovery", func() bool { return len(m.Progress()) == testPartitions })
	c.finish(s.horizon) // the same horizon once more: committed, but nothing to publish
	m.stop()
	if after := len(c.readAll(schemas.StreamCost)) + len(c.readAll(schemas.StreamDeadLetters)); after != before {
		t.Errorf("%d records after the restart, %d before", after, before)
	}
	if sum := m.Summary(); sum.Recoveries != testPartitions || sum.Rows[schemas.StreamSamples] != 0 {
		t.Errorf("summary after the restart: %+v", sum)
	}
	c.check(s)
}

func TestMembersJoinAndLeave(t *testing.T) {
	c, s := newCluster(t), newStory(4, 8)
	a := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	c.publish(&s.chapters[1])
	c.finish(s.horizon - 60_000)
	b := start(t, c.config("b"))
	c.publish(&s.chapters[2])
	await(t, "b to own some", func() bool { return len(b.Progress()) > 0 && len(a.Progress())+len(b.Progress()) == testPartitions })
	c.publish(&s.chapters[3])
	c.publish(&s.chapters[4])
	a.stop()
	c.publish(&s.chapters[5])
	await(t, "b to own all", func() bool { return len(b.Progress()) == testPartitions })
	a = start(t, c.config("a"))
	c.publish(&s.chapters[6])
	c.publish(&s.chapters[7])
	c.finish(s.horizon)
	c.check(s)
	if n := a.Summary().Aborts + b.Summary().Aborts; n != 0 {
		t.Errorf("%d transactions aborted: a rebalance should wait for the turn to end", n)
	}
	a.stop()
	b.stop()
}

// A rebalance that leaves a partition where it was costs no recovery.
func TestEnginesSurviveARebalance(t *testing.T) {
	c, s := newCluster(t), newStory(5, 2)
	a := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 60_000)
	b := start(t, c.config("b"))
	await(t, "b to own some", func() bool { return len(b.Progress()) > 0 && len(a.Progress()) == testPartitions-len(b.Progress()) })
	c.publish(&s.chapters[1])
	c.finish(s.horizon)
	if n := a.Summary().Recoveries; n != testPartitions {
		t.Errorf("the first member made %d engines for %d partitions", n, testPartitions)
	}
	c.check(s)
}

// Stopping in the middle of a stream loses nothing.
func TestStopAtAnyTime(t *testing.T) {
	c, s := newCluster(t), newStory(6, 6)
	for i := range s.chapters {
		// A member that is stopped while it joins may leave a ghost in the group,
		// which lasts a session.
		m := start(t, c.config("a", kgo.SessionTimeout(2*time.Second)))
		c.publish(&s.chapters[i])
		if i%2 == 0 {
			await(t, "some rows", func() bool { return m.Summary().Rows[schemas.StreamSamples] > 0 })
		}
		m.stop()
	}
	start(t, c.config("a"))
	c.finish(s.horizon)
	c.check(s)
}

func TestMetersShareAProcess(t *testing.T) {
	c, s := newCluster(t), newStory(7, 2)
	for _, name := range []string{"a", "b", "c"} {
		start(t, c.config(name))
	}
	c.publish(&s.chapters[0])
	c.publish(&s.chapters[1])
	c.finish(s.horizon)
	c.check(s)
}

// An idle meter writes nothing.
func TestIdleMakesNoTransactions(t *testing.T) {
	c := newCluster(t)
	tick := make(chan time.Time)
	cfg := c.config("a")
	cfg.Tick = tick
	m := start(t, cfg)
	await(t, "assignment", func() bool { return len(m.Progress()) == testPartitions })
	for range 5 {
		tick <- time.Time{}
	}
	await(t, "ticks", func() bool { return len(c.readAll(schemas.StreamTicks)) == 5 })
	if n := m.Summary().Transactions; n != 0 {
		t.Errorf("%d transactions", n)
	}
}

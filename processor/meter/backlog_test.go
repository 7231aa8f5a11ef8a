package meter

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas"
)

// bought is a fleet that hears, between its two halves, of a server which was bought
// hours before all else, and of its price.
func bought(hours int64) (chapters []chapter, cells int) {
	halves := fleet()
	from := t0 - hours*3_600_000
	server := chapter{
		resources: []schemas.Resource{{
			Node: "node-9", Resource: "bought", Provider: "own", SKU: "y", GPUs: []string{"g0", "g1"}, From: from,
			PricingCategory: "owned", IdleWatts: schemas.Absent32,
		}},
		prices: []schemas.Price{{Provider: "own", SKU: "y", PricingCategory: "owned", Currency: "USD", PerHour: 1_000_000_007, From: from}},
	}
	return []chapter{halves[0], server, halves[1]}, 8*2*10 + 2*int(60*hours+10)
}

// A member dies at its k-th write, for each k, while it publishes in steps what a
// resource of hours ago changes. Another one takes over, with the archive of the
// dead one or without any.
func TestCrashInABacklog(t *testing.T) {
	const last = 26 // three writes for the first half, three for each step
	for k := int64(2); k <= last; k++ {
		for _, seen := range []bool{false, true} {
			t.Run(fmt.Sprintf("write=%d/seen=%t", k, seen), func(t *testing.T) {
				t.Parallel()
				crashInBacklog(t, k, seen, k%2 == 0)
			})
		}
	}
}

func crashInBacklog(t *testing.T, k int64, seen, archived bool) {
	c := newCluster(t)
	chapters, cells := bought(5)
	dir := ""
	if archived {
		dir = t.TempDir()
	}
	processor := func(name string, more ...kgo.Opt) Config {
		cfg := c.config(name, more...)
		cfg.NewEngine, cfg.Engine, cfg.StateDir = nil, rules(), dir
		cfg.Engine.Hot = 3_600_000
		return cfg
	}
	var wire cable
	crashed := make(chan struct{})
	c.onWrite("victim", func(n int64, _ kmsg.Request) (kmsg.Response, error, bool) {
		if n == k {
			wire.pull()
			close(crashed)
		}
		return nil, errCut, n > k || n == k && !seen
	})
	victim := startInSteps(t, processor("victim", wire.options()...), 2) // a window a step: others of the partition have cells behind it
	for i := range chapters {
		c.publish(&chapters[i])
		tick := rows(c, schemas.Tick{Horizon: fleetEnd - int64(len(chapters)-i)*60_000})
		if i != 1 { // the second half of the fleet comes into the backlog
			await(t, "the victim to go on or die", func() bool { return isClosed(crashed) || c.applied(tick) })
		}
	}
	if !isClosed(crashed) {
		t.Fatalf("the victim never came to write %d", k)
	}
	_ = victim.end() // its client gives up; the broker hears nothing of it
	startInSteps(t, processor("heir"), 70)
	c.finish(fleetEnd)
	c.checkCells(chapters, cells)
}

// What reaches far back holds up nothing: the horizon moves on, of the same
// partition too, and each transaction is small. The log says what it is and what
// can be done about it.
func TestBacklogHoldsUpNothing(t *testing.T) {
	c := newCluster(t)
	chapters, _ := bought(200)
	cfg := c.config("a")
	var said saying
	cfg.NewEngine, cfg.Engine, cfg.Log = nil, rules(), slog.New(slog.NewTextHandler(&said, nil))
	m := startInSteps(t, cfg, 2)
	c.publish(&chapters[0])
	c.finish(t0 + 120_000)
	cells := m.Summary().Cells
	c.publish(&chapters[1])
	var behind Progress
	await(t, "a backlog", func() bool {
		for _, p := range m.Progress() {
			if p.Behind.Levels > 0 {
				behind = p
				return true
			}
		}
		return false
	})
	transactions := m.Summary().Transactions
	c.publish(&chapters[2])
	rows(c, schemas.Tick{Horizon: fleetEnd})
	await(t, "the horizon to move on while something is behind", func() bool {
		for _, p := range m.Progress() {
			if p.Partition == behind.Partition && p.Horizon == fleetEnd {
				if p.Behind.Levels == 0 || p.Applied != behind.Applied {
					t.Fatalf("%+v: the backlog was over too soon to tell", p)
				}
				return true
			}
		}
		return false
	})
	await(t, "more steps", func() bool { return m.Summary().Transactions > transactions+20 })
	if n := m.Summary(); (n.Cells-cells)/(n.Transactions-1) > 200 {
		t.Errorf("%d cells in %d transactions", n.Cells-cells, n.Transactions)
	}
	for _, part := range []string{"resource=bought", "since=2026-", "cells=24", "ledger.from"} {
		if !strings.Contains(said.String(), part) {
			t.Errorf("the log has no %s:\n%s", part, said.String())
		}
	}
}

// A saying is a log that may be read while it is written.
type saying struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *saying) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *saying) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Whatever levels come and go, the bases stay with theirs.
func TestBasesFollowTheirLevels(t *testing.T) {
	as := func(n int64) state { return state{offset: n} }
	var b Behind
	b.follow([]int64{100}, as(1))
	b.follow([]int64{80}, as(2))
	b.follow([]int64{200, 80}, as(3))
	b.follow([]int64{300, 200, 80}, as(4))
	b.follow([]int64{190, 80}, as(5))
	if b.Levels != 2 || b.Level[0] != (Level{Before: 190, Samples: 3}) || b.Level[1] != (Level{Before: 80, Samples: 1}) {
		t.Errorf("%+v", b)
	}
	if b.follow(nil, as(6)); b != (Behind{}) {
		t.Errorf("%+v is left of nothing", b)
	}
}

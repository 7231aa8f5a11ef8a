//go:build synctests

package simulation

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/deploy/verify"
	"github.com/gpumeter/gpumeter/schemas"
)

// Two nodes of a small fleet whose clocks are wrong: on one a scheduler's allocation
// goes over to a node with a right clock, on the other the agent tells of
// allocations, too. Two partitions hold all nodes, so both share theirs.
func mad(node string) bool { return node == "node-0000" || node == "node-0002" }

// spans is a node that has an allocation together with a mad one.
const spans = "node-0003"

// A clock is how wrong a clock is: what it says at an instant, in Unix ms, of a run
// of half an hour.
type clock struct {
	name    string
	says    func(ts, began int64) int64
	refused bool // rule 1 refuses its events
}

func clocks() []clock {
	ahead := func(d time.Duration) func(int64, int64) int64 {
		return func(ts, _ int64) int64 { return ts + d.Milliseconds() }
	}
	from := func(year int) func(int64, int64) int64 {
		start := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
		return func(ts, began int64) int64 { return start + ts - began }
	}
	return []clock{
		{"of 1970", from(1970), true},
		{"of 2009", from(2009), true},
		{"of 2010, the first year that counts", from(2010), false},
		{"of 2100", from(2100), true},
		// Records wait for others of their batch before the broker stamps them.
		{"ten minutes ahead", ahead(10 * time.Minute), false},
		{"more than ten minutes ahead", ahead(10*time.Minute + 30*time.Second), true},
		{"ten minutes behind", ahead(-10 * time.Minute), false},
		{"stepping back an hour, and forth", func(ts, began int64) int64 {
			if m := (ts - began) / 60_000; m >= 10 && m < 20 {
				return ts - 3_600_000
			}
			return ts
		}, false},
		{"standing still", func(_, began int64) int64 { return began }, false},
	}
}

// An observation is what a run with a clock has made.
type observation struct {
	cells   map[cellKey]string // of the nodes with right clocks: every column of every row
	spanned int                // rows among them of allocations that a mad node takes part in
	letters []schemas.DeadLetter
	said    int64 // events of mad nodes
}

// A node with a wrong clock harms its own rows only: the cells of all other nodes
// are the same to the byte, whatever its clock says, those of an allocation that it
// takes part in included. What rule 1 refuses is a dead letter with place and reason.
func TestMadClocks(t *testing.T) {
	right := observe(t, nil)
	if len(right.cells) < 1000 || right.spanned == 0 {
		t.Fatalf("%d cells, %d rows of allocations with a mad node: the test proves nothing", len(right.cells), right.spanned)
	}
	for _, c := range clocks() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := observe(t, c.says)
			for k, want := range right.cells {
				if got.cells[k] != want {
					t.Fatalf("cell %+v of another node\nis   %s\nwant %s", k, got.cells[k], want)
				}
			}
			if len(got.cells) != len(right.cells) {
				t.Errorf("%d cells of other nodes, want %d", len(got.cells), len(right.cells))
			}
			got.checkLetters(t, c.refused)
		})
	}
}

func (o observation) checkLetters(t *testing.T, refused bool) {
	var rows int64
	for _, l := range o.letters {
		switch {
		case l.Reason != schemas.ReasonBadTime:
		case !strings.HasPrefix(l.Place, "topic "+schemas.Prefix+l.Stream+" partition ") || !strings.Contains(l.Detail, "set the clock"):
			t.Errorf("letter %+v: want the place and what to do", l)
		default:
			rows += l.Count
		}
	}
	want := int64(0)
	if refused {
		want = o.said
	}
	if rows != want {
		t.Errorf("%d events are dead letters of a bad time, want %d", rows, want)
	}
}

// observe runs a small fleet for half an hour, two of whose nodes go by a clock.
func observe(t *testing.T, says func(ts, began int64) int64) (o observation) {
	cfg := config{
		seed: 7, nodes: 6, gpus: fleetGPUs, length: 30 * time.Minute, interval: 10 * time.Second, partitions: 2, pace: 10 * time.Second, early: time.Minute,
		dir: t.TempDir() + "/said",
	}
	var w *world
	var horizon int64
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, cfg)
		defer w.end()
		w.plant.clock = func(node string, ts int64) int64 {
			if !mad(node) {
				return ts
			}
			o.said++
			if says == nil {
				return ts
			}
			return says(ts, w.began)
		}
		w.open()
		time.Sleep(time.Until(time.UnixMilli(w.plant.end)))
		horizon = w.settle()
		o.letters = read[schemas.DeadLetter](w, schemas.StreamDeadLetters)
	})
	report, err := verify.Run(t.Context(), w.store, verify.Options{Oracle: oracle.Defaults(horizon), Horizon: &horizon})
	if err != nil || report.Violations != 0 {
		t.Errorf("the ledger does not hold: %+v (%v)", report.First, err)
	}
	o.cells = map[cellKey]string{}
	for k, c := range w.store.cells {
		if mad(k.node) {
			continue
		}
		o.cells[k] = fmt.Sprintf("early %t, restated %t, %+v", c.early, c.restated, c.rows)
		for _, r := range c.rows {
			if k.node == spans && r.Allocation != "" {
				o.spanned++
			}
		}
	}
	return o
}

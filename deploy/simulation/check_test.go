//go:build synctests

package simulation

import (
	"fmt"
	"hash/fnv"
	"io"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// One seed is one agenda and one sequence of events, however their taking is cut.
func TestSeedRepeatsFaultsAndInput(t *testing.T) {
	cfg := short(3)
	cfg.length = 30 * time.Minute
	if a, b := agenda(cfg), agenda(cfg); len(a) == 0 || !reflect.DeepEqual(a, b) {
		t.Errorf("agendas of %d and %d incidents", len(a), len(b))
	}
	first := said(t, cfg, time.Second)
	if other := said(t, cfg, 17*time.Second); first != other {
		t.Errorf("taken by the second %s, by 17 of them %s", first, other)
	}
	cfg.seed++
	if other := said(t, cfg, time.Second); first == other {
		t.Error("another seed says the same")
	}
}

// said is a digest of what a plant's collectors are handed, in order.
func said(t *testing.T, cfg config, step time.Duration) string {
	t.Helper()
	cfg.dir = filepath.Join(t.TempDir(), "said")
	p, err := newPlant(cfg, beginning(), newStore())
	if err != nil {
		t.Fatal(err)
	}
	h := fnv.New64a()
	for now := p.now; now < p.end; {
		now += step.Milliseconds()
		if err := p.step(now); err != nil {
			t.Fatal(err)
		}
		for n, l := range p.lines {
			l.next = len(l.queue) // as if a collector had taken them
			if n == 0 {
				digest(h, l.queue)
				p.forget(n)
			}
		}
	}
	_ = p.record.Close()
	digest(h, p.lines[1].queue)
	return fmt.Sprintf("%d events, %d late, %x", p.events, p.late, h.Sum64())
}

func digest(w io.Writer, events []any) {
	for _, e := range events {
		_, _ = fmt.Fprintf(w, "%+v\n", e) // a hash takes everything
	}
}

// The judges see what they are there for.
func TestJudges(t *testing.T) {
	k := cellKey{node: "n", resource: "r", gpu: "g", window: 1}
	row := []oracle.Row{{GPUMs: 1}}
	s := newStore()
	s.compare(k, cell{version: 1, rows: row}, cell{version: 1, rows: row}) // redelivered
	s.compare(k, cell{version: 1, rows: row}, cell{version: 2, early: true, rows: row})
	if len(s.broken) != 0 {
		t.Errorf("good revisions: %v", s.broken)
	}
	s.compare(k, cell{version: 1, rows: row}, cell{version: 2, rows: row})
	s.compare(k, cell{version: 1, rows: row}, cell{version: 1})
	if len(s.broken) != 2 {
		t.Errorf("a revision published twice, a version of two contents: %v", s.broken)
	}
	s.cells = map[cellKey]cell{k: {early: true, rows: row}, {window: 2}: {early: true}, {window: 3}: {rows: row}}
	if got := s.unfinished(); len(got) != 1 {
		t.Errorf("one cell with rows is early: %v", got)
	}

	open := schemas.Finding{Finding: "a", Allocation: "x", Revision: 1, OpenedAt: 1}
	over := schemas.Finding{Finding: "a", Allocation: "x", Revision: 2, OpenedAt: 1, ResolvedAt: 5}
	next := schemas.Finding{Finding: "b", Allocation: "x", Revision: 1, OpenedAt: 9}
	for want, all := range map[int][]schemas.Finding{
		0: {open, over, next},
		1: {open, open, over, next}, // a revision twice
		2: {over, next, open},       // out of order, and never resolved
	} {
		if got := wrongFindings(all); len(got) != want {
			t.Errorf("want %d faults: %v", want, got)
		}
	}
	letter := schemas.DeadLetter{Stream: "s", Place: "p", Reason: schemas.ReasonNoStart}
	if got := wrongLetters([]schemas.DeadLetter{letter}); len(got) != 0 {
		t.Errorf("one letter: %v", got)
	}
	if got := wrongLetters([]schemas.DeadLetter{letter, letter, {Reason: schemas.ReasonCorrupt}}); len(got) != 2 {
		t.Errorf("a letter twice, and a record that cannot be read: %v", got)
	}
}

// spoken keeps what a splitter says.
type spoken struct {
	source.Sink
	nodes     []string
	intervals map[uint32]int
	refs      map[string]int // GPUs that allocations name, by node
}

func (s *spoken) Resource(v schemas.Resource) error {
	s.nodes = append(s.nodes, fmt.Sprintf("%s %s %d", v.Node, v.Resource, len(v.GPUs)))
	return nil
}

func (s *spoken) Sample(v *contract.Sample) error {
	s.intervals[v.Interval]++
	s.refs[v.Node]++
	return nil
}

func (s *spoken) Allocation(a schemas.Allocation) error {
	for _, g := range a.GPUs {
		s.refs[g.Node]++
	}
	return nil
}

// A node that is split is several, and nothing of it is left out but samples.
func TestSplit(t *testing.T) {
	to := &spoken{intervals: map[uint32]int{}, refs: map[string]int{}}
	s := split(to, 4, 30*time.Second)
	gpus := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	_ = s.Resource(schemas.Resource{Node: "n", Resource: "r", GPUs: gpus})
	if want := []string{"n-0 r-0 4", "n-1 r-1 4"}; !slices.Equal(to.nodes, want) {
		t.Errorf("nodes %v, want %v", to.nodes, want)
	}
	a := schemas.Allocation{GPUs: []schemas.GPURef{{Node: "n", GPU: "d"}, {Node: "n", GPU: "e"}}}
	_ = s.Allocation(a)
	if a.GPUs[0].Node != "n" || to.refs["n-0"] != 1 || to.refs["n-1"] != 1 {
		t.Errorf("an allocation over both is on %v, and what the fleet said is %v", to.refs, a.GPUs)
	}
	for ts := range int64(6) {
		_ = s.Sample(&contract.Sample{Node: "n", Series: schemas.Series{GPU: "h", Interval: 10_000}, TS: ts*10_000 + 3000})
	}
	if to.intervals[30_000] != 2 || len(to.intervals) != 1 || to.refs["n-1"] != 3 {
		t.Errorf("six samples of ten seconds are %v of an interval, on %v", to.intervals, to.refs)
	}
}

package meter

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
)

// A ledger is an Engine that a reader can check by eye: a cell's gpu_ms is the
// number of different samples in its window, and its price_id a hash of every
// reference event that exists. It is a function of sets and of the horizon, like
// the real one, and any input that is lost, or used twice by different owners,
// changes it.
type ledger struct {
	cfg       engine.Config
	samples   map[sampleKey]bool
	events    map[string]int64 // reference events and their ts, 0 = always
	orphans   map[string]bool  // allocations with an end
	started   map[string]bool
	published map[cellKey]cellValue
	reported  map[string]bool
}

type (
	sampleKey struct {
		node, gpu string
		ts        int64
	}
	cellKey struct {
		node, gpu string
		window    int64
	}
	cellValue struct {
		samples  int64
		events   string
		finality uint8
	}
)

func newLedger(cfg engine.Config) (Engine, error) {
	return &ledger{
		cfg: cfg, samples: map[sampleKey]bool{}, events: map[string]int64{}, orphans: map[string]bool{}, started: map[string]bool{},
		published: map[cellKey]cellValue{}, reported: map[string]bool{},
	}, nil
}

func (l *ledger) Oldest() int64 { return 0 }

func (l *ledger) Err() error { return nil }

func (l *ledger) Behind() []int64 { return nil }

func (l *ledger) Hold([]int64) {}

func (l *ledger) Backlog() engine.Backlog { return engine.Backlog{} }

func (l *ledger) Settled() bool { return true }

func (l *ledger) AddSamples(b *schemas.Samples) {
	if l.cfg.Owns != nil && !l.cfg.Owns(b.Node) {
		panic("samples of another partition's node " + b.Node)
	}
	for i, ts := range b.TS {
		l.samples[sampleKey{b.Node, b.Series[b.Index[i]].GPU, ts}] = true
	}
}

func (l *ledger) AddAllocation(a *schemas.Allocation) {
	l.events[fmt.Sprintf("allocation %+v", *a)] = a.TS
	if a.Event == schemas.EventStart {
		l.started[a.Allocation] = true
	} else {
		l.orphans[a.Allocation] = true
	}
}

func (l *ledger) AddResource(r *schemas.Resource) { l.events[fmt.Sprintf("resource %+v", *r)] = 0 }
func (l *ledger) AddPrice(p *schemas.Price)       { l.events[fmt.Sprintf("price %+v", *p)] = 0 }
func (l *ledger) AddTag(t *schemas.Tag)           { l.events[fmt.Sprintf("tag %+v", *t)] = 0 }

func (l *ledger) Advance(horizon int64, final bool, out engine.Output) {
	cells := l.cells(horizon, final)
	keys := slices.SortedFunc(maps.Keys(cells), func(a, b cellKey) int {
		return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.gpu, b.gpu), cmp.Compare(a.window, b.window))
	})
	var changed []cellKey
	for _, k := range keys {
		if l.published[k] != cells[k] {
			l.published[k] = cells[k]
			changed = append(changed, k)
		}
	}
	if out != nil {
		for some := range slices.Chunk(changed, 7) { // several records an Advance
			out.Costs(costsOf(some, cells))
		}
	}
	l.report(final, out)
}

func (l *ledger) cells(horizon int64, final bool) map[cellKey]cellValue {
	events := l.hash(horizon)
	cells := map[cellKey]cellValue{}
	for s := range l.samples {
		if s.ts >= horizon {
			continue
		}
		k := cellKey{s.node, s.gpu, s.ts - s.ts%l.cfg.Window}
		v := cells[k]
		v.samples++
		v.events = events
		if final || k.window+l.cfg.Window+l.cfg.Grace <= horizon {
			v.finality = schemas.FinalityFinal
		}
		cells[k] = v
	}
	return cells
}

func (l *ledger) hash(horizon int64) string {
	h := fnv.New64a()
	for _, e := range slices.Sorted(maps.Keys(l.events)) {
		if l.events[e] < horizon {
			_, _ = h.Write([]byte(e))
		}
	}
	return fmt.Sprintf("%x", h.Sum64())
}

func (l *ledger) report(final bool, out engine.Output) {
	for _, a := range slices.Sorted(maps.Keys(l.orphans)) {
		if !final || l.started[a] || l.reported[a] || l.cfg.Reports != nil && !l.cfg.Reports(a) {
			continue
		}
		l.reported[a] = true
		if out != nil {
			out.Report(schemas.DeadLetter{Stream: schemas.StreamAllocations, Place: a, Reason: schemas.ReasonNoStart, Detail: "no start", Count: 1})
		}
	}
}

func costsOf(keys []cellKey, cells map[cellKey]cellValue) *schemas.Costs {
	c := newCosts(len(keys))
	for i, k := range keys {
		v := cells[k]
		setText(&c.Node, i, k.node)
		setText(&c.Resource, i, k.node)
		setText(&c.GPU, i, k.gpu)
		setText(&c.PriceID, i, v.events)
		c.Window[i], c.WindowStart[i], c.WindowEnd[i] = k.window, k.window, k.window+1
		c.GPUMs[i], c.Finality[i] = v.samples, v.finality
		c.State[i] = schemas.StateActive
		c.Runs = append(c.Runs, 0, 1)
		c.RunsEnd[i] = uint32(len(c.Runs))
	}
	return c
}

// cellsOf reads what costsOf wrote.
func cellsOf(c *schemas.Costs) map[cellKey]cellValue {
	cells := map[cellKey]cellValue{}
	for i := range c.Len() {
		cells[cellKey{text(c.Node, i), text(c.GPU, i), c.Window[i]}] = cellValue{c.GPUMs[i], text(c.PriceID, i), c.Finality[i]}
	}
	return cells
}

func text(t schemas.Text, i int) string { return t.Dict[t.Index[i]] }

func setText(t *schemas.Text, row int, value string) {
	at := slices.Index(t.Dict, value)
	if at < 0 {
		at = len(t.Dict)
		t.Dict = append(t.Dict, value)
	}
	t.Index[row] = uint32(at)
}

package engine

import (
	"github.com/gpumeter/gpumeter/schemas"
)

// An Engine computes the cells of the nodes that it owns. Not for concurrent use.
type Engine struct {
	cfg   Config
	texts texts

	// Time. Windows that end at or before final are final; marks keep them right.
	horizon  int64
	final    int64
	due      int64 // horizon at which the next window becomes final or early results are due
	lost     int64 // what a new GPU's lost begins with
	replayed bool  // the last Advance was the end of a replay

	nodes     map[string]*node
	gpus      []*gpu // in the order in which they were named
	resources map[string]*resource
	allocs    map[string]*allocation
	prices    prices
	have      map[schemas.Tag]bool
	rules     []*rule

	ruleVersion uint32

	// What the next Advance has to look at.
	arrived   []*series     // have samples that are not counted
	urgent    bool          // one of them may touch a final window
	waiting   events        // allocation events at or behind the horizon
	refold    []*allocation // have events before the horizon that are not folded
	resourced []*resource
	newRules  []*rule
	marked    []*gpu

	// What there may be to report.
	homeless []*gpu        // have no resource so far
	orphans  []*allocation // have no start so far

	// Scratch.
	tally    tallyman
	cell     cell
	batch    batch
	arrivals []sample
	merged   []sample
	fresh    []bool
	replaced int64 // greatest reach of a sample that another replaced
	placed   []placed
	cuts     []int64
	upcoming []*hold
	held     []*hold
	shares   []int32
	bounds   []uint32
}

// New makes an engine that knows nothing yet.
func New(cfg Config) (*Engine, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Engine{
		cfg: cfg, texts: newTexts(), horizon: forever, final: forever, due: forever, lost: forever,
		nodes: map[string]*node{}, resources: map[string]*resource{}, allocs: map[string]*allocation{},
		prices: prices{lists: map[priceKey]*priceList{}}, have: map[schemas.Tag]bool{},
	}, nil
}

// AddSamples keeps the samples of an owned node; those of others are ignored.
func (e *Engine) AddSamples(b *schemas.Samples) {
	if b.Len() == 0 {
		return
	}
	n := e.node(b.Node)
	if !n.owned {
		return
	}
	e.locate(n, b.Series)
	var s *series
	var x sample
	last := -1
	for i, ts := range b.TS {
		if k := int(b.Index[i]); k != last {
			last, s = k, n.hint[k]
			if ts < s.gpu.first {
				s.gpu.first = ts
			}
			x.interval, x.memTotal = b.Series[k].Interval, b.Series[k].MemoryTotal
			x.model = e.texts.of(b.Series[k].Model)
			if !s.queued {
				s.queued = true
				e.arrived = append(e.arrived, s)
			}
		}
		x.ts, x.mem, x.energy = ts, b.MemoryUsed[i], b.Energy[i]
		x.util, x.sm, x.tensor, x.dram = b.Utilization[i], b.SMActive[i], b.TensorActive[i], b.DRAMActive[i]
		x.power, x.temp = b.Power[i], b.Temperature[i]
		if s.add(&x, e.final) {
			e.urgent = true
		}
	}
}

// locate finds the series of a batch. A node's batches name the same ones in the
// same order, so that comparing with the last batch mostly suffices.
func (e *Engine) locate(n *node, list []schemas.Series) {
	for k := range list {
		if k < len(n.hint) && n.hint[k].name == list[k].Slice && n.hint[k].gpu.name == list[k].GPU {
			continue
		}
		s := e.listens(e.gpu(n, list[k].GPU), list[k].Slice)
		if k < len(n.hint) {
			n.hint[k] = s
		} else {
			n.hint = append(n.hint, s)
		}
	}
}

// AddAllocation keeps an event. It counts once the horizon is behind it.
func (e *Engine) AddAllocation(a *schemas.Allocation) {
	al, ok := e.allocs[a.Allocation]
	if !ok {
		al = &allocation{id: e.texts.of(a.Allocation), from: never}
		al.name = e.texts.all[al.id]
		e.allocs[al.name] = al
	}
	if !al.add(a) {
		return
	}
	if a.TS >= e.horizon {
		e.waiting.push(event{a.TS, al})
		return
	}
	e.touch(al)
}

// touch has al folded by the next Advance.
func (e *Engine) touch(al *allocation) {
	if !al.changed {
		al.changed = true
		e.refold = append(e.refold, al)
	}
}

// AddResource keeps a record.
func (e *Engine) AddResource(r *schemas.Resource) {
	res, ok := e.resources[r.Resource]
	if !ok {
		id := e.texts.of(r.Resource)
		res = &resource{id: id, name: e.texts.all[id]}
		e.resources[res.name] = res
	}
	if res.add(r) && !res.changed {
		res.changed = true
		e.resourced = append(e.resourced, res)
	}
}

// AddPrice keeps a price row.
func (e *Engine) AddPrice(p *schemas.Price) { e.prices.add(p, &e.texts) }

// AddTag keeps a tag rule.
func (e *Engine) AddTag(t *schemas.Tag) {
	if e.have[*t] {
		return
	}
	e.have[*t] = true
	if r := e.newRule(t); r != nil {
		e.newRules = append(e.newRules, r)
	}
}

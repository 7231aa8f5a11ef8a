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
	chunk    int64 // ms; what goes to the archive under one key
	perBlock int64 // windows whose fingerprints lie together
	failed   error // the archive's first error
	replayed bool  // the last Advance was the end of a replay
	resumed  bool  // the archive knew GPUs at the beginning

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
	ended     events        // allocations that may be frozen once their instant is cold
	unsaved   []*allocation // whose events the archive does not have
	marked    []*gpu
	pending   []*gpu  // have stretches to recompute
	awaited   []*gpu  // of which the archive knows that they have
	behind    []int64 // how far that has come: see backlog.go
	heirs     int     // GPUs that have inherited windows
	stirred   []*gpu  // have activity to be said
	watermark int64

	// What there may be to report.
	homeless []*gpu        // have no resource so far
	orphans  []*allocation // have no start so far

	// Scratch.
	tally      tallyman
	cell       cell
	batch      batch
	activities []schemas.Activity
	jumble     jumble
	freeBlocks []*sampleBlock
	fetched    int64    // keeps loads alive whose only purpose is the cache
	away       []series // what is in the place of which cold samples are
	chunks     chunkCoder
	bytes      []byte
	near       []sample
	placed     []placed
	labelled   []labelling
	about      []*rule
	force      []*rule
	before     []*rule
	cuts       []int64
	upcoming   []*hold
	held       []*hold
	shares     []int32
	bounds     []uint32
}

// New makes an engine that knows nothing yet but what its archive holds. With an
// archive that is not empty it is to be fed all of the other inputs as of the
// instant of the archive, of samples those from Oldest on, and advanced to the
// horizon of that instant without output, before anything else.
func New(cfg Config) (*Engine, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	lost := int64(forever)
	if cfg.LostBefore > 0 {
		lost = floorTo(cfg.LostBefore+cfg.Window-1, cfg.Window)
	}
	e := &Engine{
		chunk: cfg.chunk(), cfg: cfg, texts: newTexts(), horizon: forever, final: forever, due: forever, lost: lost, watermark: forever,
		nodes: map[string]*node{}, resources: map[string]*resource{}, allocs: map[string]*allocation{},
		prices: prices{lists: map[priceKey]*priceList{}}, have: map[schemas.Tag]bool{},
	}
	e.perBlock = blockOf(e.chunk / cfg.Window)
	if cfg.Archive == nil {
		e.perBlock = maxBlock
	}
	return e, e.load()
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
	e.fetch(n, b)
	for i := 0; i < len(b.TS); {
		j := endOfRun(b.Index, i)
		h := &n.hint[b.Index[i]]
		if s := h.series; !s.queued {
			s.queued = true
			e.arrived = append(e.arrived, s)
			e.name(s, b.TS[i])
		}
		late := h.series.arrive(b.TS[i:j], h.of.Interval, e.final)
		e.urgent = e.urgent || late
		if late || b.TS[j-1] >= h.series.wake || !e.busy(b, i, j) {
			e.stir(h.series, never)
		}
		e.append(h, b, i, j)
		i = j
	}
}

// endOfRun is where the rows of the series of row i end.
func endOfRun(index []uint16, i int) int {
	j := i + 1
	for j < len(index) && index[j] == index[i] {
		j++
	}
	return j
}

// name notes when samples first named a GPU, for reports.
func (e *Engine) name(s *series, ts int64) {
	if s.n == 0 {
		s.gpu.first = min(s.gpu.first, ts)
	}
}

// A hint is what the series at one position of a node's last batch was.
type hint struct {
	series *series
	of     schemas.Series
	model  text
}

// locate finds the series of a batch. A node's batches name the same ones in the
// same order, so that comparing with the last batch mostly suffices.
func (e *Engine) locate(n *node, list []schemas.Series) {
	for k := range list {
		l := &list[k]
		if k < len(n.hint) && n.hint[k].of == *l {
			continue
		}
		h := hint{series: e.listens(e.gpu(n, l.GPU), l.Slice), of: *l, model: e.texts.of(l.Model)}
		if k < len(n.hint) {
			n.hint[k] = h
		} else {
			n.hint = append(n.hint, h)
		}
	}
}

// AddAllocation keeps an event. It counts once the horizon is behind it.
func (e *Engine) AddAllocation(a *schemas.Allocation) {
	al, ok := e.allocs[a.Allocation]
	if !ok {
		if al = e.thaw(a.Allocation); al == nil {
			al = e.newAllocation(a.Allocation)
			e.allocs[al.name] = al
		}
	}
	if !e.tell(al, a) {
		return
	}
	if e.cfg.Archive != nil && !al.unsaved {
		al.unsaved = true
		e.unsaved = append(e.unsaved, al)
	}
	if a.TS >= e.horizon {
		e.waiting.push(event{a.TS, al})
		return
	}
	e.refolds(al)
}

func (e *Engine) newAllocation(name string) *allocation {
	al := &allocation{id: e.texts.hold(name), from: never}
	al.name = e.texts.all[al.id]
	return al
}

// refolds has al folded by the next Advance.
func (e *Engine) refolds(al *allocation) {
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

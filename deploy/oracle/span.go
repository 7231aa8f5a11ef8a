package oracle

import (
	"math/big"
	"slices"
)

// A scene is a rectangle of a piece in which holder, labels and the rules that
// match are the same: all that its rows have in common.
type scene struct {
	*record
	gpu         string
	rectangle   rectangle
	attribution string
	labels      []Label
	attributes  map[string]string
	from, to    int64 // ms
	voices      []voice
}

// pieceRows computes the rows of one piece (rule 10).
func (l *Ledger) pieceRows(r *record, gpu string, p piece) []Row {
	var rows []Row
	heard := map[string][]voice{}
	for _, x := range p.rectangles() {
		slice := ""
		if x.holder != nil {
			slice = x.holder.slice
		}
		if heard[slice] == nil {
			heard[slice] = l.voices(p, series{device{r.Node, gpu}, slice})
		}
		base := scene{record: r, gpu: gpu, rectangle: x, attribution: p.attribution(x), from: p.from, to: p.to, voices: heard[slice]}
		for _, s := range l.scenes(base) {
			rows = append(rows, l.sceneRows(s)...)
		}
	}
	return rows
}

// scenes cuts a rectangle where its labels or the rules in force for it change.
func (l *Ledger) scenes(base scene) []scene {
	cuts := []int64{base.from, base.to}
	if h := base.rectangle.holder; h != nil {
		for _, c := range h.labels {
			if base.from < c.at && c.at < base.to && !slices.Equal(at(h.labels, c.at-1), at(h.labels, c.at)) {
				cuts = append(cuts, c.at)
			}
		}
	}
	var all []scene
	eachStretch(cuts, func(from, to int64) {
		s := base
		if h := base.rectangle.holder; h != nil {
			s.labels = at(h.labels, from)
		}
		s.from, s.to = from, to
		all = append(all, l.ruleScenes(s)...)
	})
	return all
}

func (l *Ledger) ruleScenes(base scene) []scene {
	rules := l.matching(&subject{base.record, base.rectangle.holder, base.labels})
	cuts := []int64{base.from, base.to}
	for _, t := range rules {
		for _, c := range []int64{t.from, t.to} {
			if base.from < c && c < base.to {
				cuts = append(cuts, c)
			}
		}
	}
	var all []scene
	eachStretch(cuts, func(from, to int64) {
		s := base
		s.attributes = attribute(rules, s.labels, from)
		s.from, s.to = from, to
		all = append(all, s)
	})
	return all
}

// eachStretch calls do for the stretches between the cuts, in order.
func eachStretch(cuts []int64, do func(from, to int64)) {
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	for i := 1; i < len(cuts); i++ {
		do(cuts[i-1], cuts[i])
	}
}

// sceneRows cuts a scene into spans, where windows end and prices change, and
// makes a row of each state in each.
func (l *Ledger) sceneRows(s scene) []Row {
	cuts := append([]int64{s.from, s.to}, l.priceCuts(s.record, s.from, s.to)...)
	for t := l.windowEnd(s.from); t < s.to; t = l.windowEnd(t) {
		cuts = append(cuts, t)
	}
	var rows []Row
	voices := s.voices
	eachStretch(cuts, func(from, to int64) {
		for len(voices) > 0 && voices[0].to <= from {
			voices = voices[1:]
		}
		for _, t := range l.tallies(s, voices, from, to) {
			rows = append(rows, l.row(s, t, from, to))
		}
	})
	return rows
}

// windowStart is where the window with t in it begins; windows begin anew with
// every hour.
func (l *Ledger) windowStart(t int64) int64 {
	h := floorDiv(t, hour) * hour
	return h + (t-h)/l.opt.Window*l.opt.Window
}

func (l *Ledger) windowEnd(t int64) int64 {
	return min(l.windowStart(t)+l.opt.Window, (floorDiv(t, hour)+1)*hour)
}

// A mean is a time-weighted sum of ppm.
type mean struct{ sum, ms int64 }

func (m *mean) add(value, ms int64) {
	if value != Absent {
		m.sum += value * ms
		m.ms += ms
	}
}

// value is rounded down, or otherwise when nothing was reported.
func (m *mean) value(otherwise int64) int64 {
	if m.ms == 0 {
		return otherwise
	}
	return floorDiv(m.sum, m.ms)
}

// A tally is what the time of one state in a span adds up to.
type tally struct {
	state                       State
	runs                        [][2]int64 // ms: from, to
	utilization, smActive, load mean
	memoryMax                   int64
	energy                      *big.Int // mJ of the whole device; nil = none
}

// tallies goes through the voices of [from, to), state by state.
func (l *Ledger) tallies(s scene, voices []voice, from, to int64) []*tally {
	var all []*tally
	for _, v := range voices {
		if v.from >= to {
			break
		}
		state := l.state(s.record, s.rectangle.holder != nil, v)
		i := slices.IndexFunc(all, func(t *tally) bool { return t.state == state })
		if i < 0 {
			i = len(all)
			all = append(all, &tally{state: state, memoryMax: Absent})
		}
		all[i].add(v, max(v.from, from), min(v.to, to))
	}
	return all
}

func (t *tally) add(v voice, from, to int64) {
	if n := len(t.runs); n > 0 && t.runs[n-1][1] == from {
		t.runs[n-1][1] = to
	} else {
		t.runs = append(t.runs, [2]int64{from, to})
	}
	if v.sample == nil {
		return
	}
	t.utilization.add(v.sample.utilization, to-from)
	t.smActive.add(v.sample.smActive, to-from)
	t.load.add(v.sample.load(), to-from)
	t.memoryMax = max(t.memoryMax, v.sample.memoryUsed)
	if e := v.energy(to - from); e != nil {
		if t.energy == nil {
			t.energy = new(big.Int)
		}
		t.energy.Add(t.energy, e)
	}
}

// row makes the row of one state in the span [from, to).
func (l *Ledger) row(s scene, t *tally, from, to int64) Row {
	r := Row{
		WindowStart: from, WindowEnd: to, Resource: s.Resource, GPU: s.gpu, State: t.state,
		Cluster: s.Cluster, Node: s.Node, Provider: s.Provider, Region: s.Region, SKU: s.SKU, GPUModel: s.GPUModel,
		Team: s.attributes["team"], Project: s.attributes["project"], CostCenter: s.attributes["cost_center"],
		Environment: s.attributes["environment"], Model: s.attributes["model"], ModelVersion: s.attributes["model_version"],
		Phase: s.attributes["phase"], Labels: s.labels, Attribution: s.attribution,
		Utilization: t.utilization.value(Absent), SMActive: t.smActive.value(Absent), MemoryMax: t.memoryMax, Energy: Absent,
	}
	if h := s.rectangle.holder; h != nil {
		r.Slice, r.Allocation, r.User, r.Name, r.Namespace = h.slice, h.id, h.user, h.name, h.namespace
	}
	if t.energy != nil {
		share := new(big.Int).Mul(t.energy, big.NewInt(s.rectangle.x1-s.rectangle.x0))
		r.Energy = share.Div(share, big.NewInt(million)).Int64()
	}
	k := int64(slices.Index(s.GPUs, s.gpu))
	r.PositionFrom, r.PositionTo = k*million+s.rectangle.x0, k*million+s.rectangle.x1
	for _, run := range t.runs {
		start := l.windowStart(from)
		r.Runs = append(r.Runs, run[0]-start, run[1]-start)
	}
	l.measure(&r, s.record, t)
	return r
}

// measure fills in rule 8's milliseconds and money.
func (l *Ledger) measure(r *Row, rec *record, t *tally) {
	price := l.priceAt(rec, r.WindowStart)
	load := t.load.value(0)
	for _, run := range t.runs {
		part := area{x0: r.PositionFrom, x1: r.PositionTo, t0: run[0], t1: run[1]}
		r.GPUMs += part.ms()
		if price.perHour != nil {
			r.ListCost += part.money(price.perHour, len(rec.GPUs))
		}
	}
	r.UsedGPUMs = mulDiv(r.GPUMs, load, million)
	if price.perHour == nil {
		return
	}
	r.Priced, r.Currency, r.PriceID = true, price.currency, price.id
	r.EffectiveCost = r.ListCost
	r.UsedCost = mulDiv(r.EffectiveCost, load, million)
	if r.State == Idle || r.State == IdleHeld {
		r.WasteCost = r.EffectiveCost
	}
}

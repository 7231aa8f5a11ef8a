//go:build synctests

package simulation

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/deploy/record"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A plant is a fleet and what becomes of its events on their way to the
// collectors: some come late, some twice, some in another order. All of them are
// written down first: that is what the ledger must be.
//
// What becomes of an event is drawn in the order of events and depends on nothing
// else, so one seed gives one sequence of events and of instants at which they are
// handed over, whatever the pipeline does.
type plant struct {
	mischief mischief
	dice     *rand.Rand
	nodes    []string
	fleet    *fleet.Fleet
	source   *splitter // what the fleet says, from there to record
	record   *record.Recorder
	store    *store // is told of resources and prices

	// clock is what the clock of a node says at ts, Unix ms; nil = the right time.
	clock func(node string, ts int64) int64

	mu     sync.Mutex
	homes  map[string]string // node of each allocation that lies on one
	now    int64             // Unix ms: all events before it are out
	end    int64             // Unix ms: where the fleet ends
	lines  []*line
	held   map[int64][]held // what comes late, by the second in which it does
	away   map[string]int64 // nodes whose samples are held until then
	mute   map[string]int64 // nodes that say nothing until then
	tides  []int64          // Unix ms: when stray samples come together, in order
	events int
	late   int
}

// A mischief says how often events go wrong: one in so many, 0 = never.
type mischief struct {
	stray  int // samples that come up to six hours late
	repeat int // events that come twice, the second time up to two hours later
	swap   int // events that come before their predecessor
	slack  int // events of allocations that come up to half an hour late
	away   int // per node and hour: an hour or two of its samples come at once, in no order
	mute   int // per node and hour: it says nothing for an hour
}

type held struct {
	line  *line
	event any
}

// A line is the queue of one collector. What a collector that died may have lost
// is said again by its successor.
type line struct {
	queue []any // contract.Sample and rows of schemas
	next  int   // of the events that are handed to the present collector
	fresh int   // where the events of the present second begin
}

const second = int64(1000)

// newPlant makes the fleet of a run that begins at start.
func newPlant(cfg config, start time.Time, s *store) (*plant, error) {
	f, err := fleet.New(fleet.Config{
		Seed: cfg.seed, GPUs: cfg.nodes * cfg.gpus, Interval: min(cfg.interval, fleetInterval), Start: start, Duration: cfg.length, Speed: 1,
	})
	if err != nil {
		return nil, err
	}
	p := &plant{
		mischief: cfg.mischief, dice: rand.New(rand.NewPCG(cfg.seed, 2)), fleet: f, store: s, now: start.UnixMilli(),
		homes: map[string]string{}, held: map[int64][]held{}, away: map[string]int64{}, mute: map[string]int64{},
	}
	p.end = p.now + cfg.length.Milliseconds()
	for _, i := range agenda(cfg) {
		if kinds()[i.kind].aimed {
			p.tides = append(p.tides, p.now+i.at.Milliseconds())
		}
	}
	for n := range cfg.nodes * cfg.gpus / fleetGPUs {
		p.nodes = append(p.nodes, nodesOf(fmt.Sprintf("node-%04d", n), cfg.gpus)...)
	}
	for range collectors {
		p.lines = append(p.lines, &line{})
	}
	if p.record, err = record.New(cfg.dir, router{p}); err != nil {
		return nil, err
	}
	p.source = split(filter{p.record, p}, cfg.gpus, cfg.interval)
	return p, nil
}

// step lets the fleet go on to the second of now, Unix ms, or to its end. p.mu is
// held.
func (p *plant) step(now int64) error {
	for now = min(now, p.end); p.now+second <= now; {
		if p.now%(3600*second) == 0 {
			p.hour()
		}
		for _, l := range p.lines {
			l.fresh = len(l.queue)
		}
		to := p.now + second
		if err := p.fleet.Step(to, p.source); err != nil {
			return err
		}
		p.release(to / second)
		p.now = to
	}
	return nil
}

// release hands over what was held until that second.
func (p *plant) release(at int64) {
	all := p.held[at]
	delete(p.held, at)
	p.dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, h := range all {
		h.line.queue = append(h.line.queue, h.event)
	}
}

// finish says what is left to say. Afterwards only collectors have work.
func (p *plant) finish() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.step(p.end); err != nil {
		return err
	}
	for _, at := range slices.Sorted(maps.Keys(p.held)) {
		p.release(at)
	}
	return p.record.Close()
}

// delivered reports whether the brokers have acknowledged everything.
func (p *plant) delivered() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !slices.ContainsFunc(p.lines, func(l *line) bool { return len(l.queue) > 0 })
}

// hour draws which nodes are cut off, or silent.
func (p *plant) hour() {
	for _, n := range p.nodes {
		if p.one(p.mischief.away) {
			p.away[n] = p.now + 3600*second + p.dice.Int64N(3600)*second
		}
		if p.one(p.mischief.mute) {
			p.mute[n] = p.now + 3600*second
		}
	}
}

func (p *plant) one(in int) bool { return in > 0 && p.dice.IntN(in) == 0 }

// pass queues an event of a node, or of the fleet (node ""), and draws its way.
func (p *plant) pass(node string, event any) error {
	ts, m, l := p.now, &p.mischief, p.lines[0]
	if node != "" {
		h := fnv.New32a()
		_, _ = h.Write([]byte(node))
		l = p.lines[int(h.Sum32())%len(p.lines)]
	}
	_, slow := event.(schemas.Allocation)
	if p.one(m.repeat) {
		p.hold(l, event, ts+p.dice.Int64N(7200)*second)
	}
	switch {
	case node != "" && p.away[node] > ts:
		p.hold(l, event, p.away[node])
	case node != "" && p.one(m.stray):
		p.hold(l, event, p.later(ts))
	case slow && p.one(m.slack):
		p.hold(l, event, ts+p.dice.Int64N(1800)*second)
	default:
		l.queue = append(l.queue, event)
		if n := len(l.queue); p.one(m.swap) && n-2 >= l.fresh {
			l.queue[n-1], l.queue[n-2] = l.queue[n-2], l.queue[n-1]
		}
	}
	p.events++
	return nil
}

func (p *plant) hold(l *line, event any, until int64) {
	until = max(until/second, p.now/second+1) // its second is yet to come
	p.held[until] = append(p.held[until], held{l, event})
	p.late++
}

// later is when a stray sample of ts comes: at any time within six hours, and half of
// them with others, while something is aimed at the revisions that they cause.
func (p *plant) later(ts int64) int64 {
	until := ts + p.dice.Int64N(strayFor)*second
	whether, which, after := p.dice.IntN(2), p.dice.IntN(1<<20), p.dice.Int64N(tideLasts)*second
	from, _ := slices.BinarySearch(p.tides, ts+second)
	to, _ := slices.BinarySearch(p.tides, ts+strayFor*second)
	if whether == 0 || from == to {
		return until
	}
	return p.tides[from+which%(to-from)] + after
}

// In seconds.
const (
	strayFor  = int64(6 * 3600)
	tideLasts = int64(30)
)

// A filter drops what silent nodes would say, and sets the clocks. Whoever finds an
// allocation on a node goes by that node's clock; one over several nodes comes from a
// scheduler, whose clock is right.
type filter struct {
	source.Sink
	p *plant
}

func (f filter) at(node string, ts int64) int64 {
	if f.p.clock == nil || node == "" {
		return ts
	}
	return f.p.clock(node, ts)
}

func (f filter) Sample(s *contract.Sample) error {
	if f.p.mute[s.Node] > s.TS {
		return nil
	}
	v := *s
	v.TS = f.at(s.Node, s.TS)
	return f.Sink.Sample(&v)
}

func (f filter) Process(r schemas.Process) error {
	if f.p.mute[r.Node] > r.TS {
		return nil
	}
	r.TS = f.at(r.Node, r.TS)
	return f.Sink.Process(r)
}

func (f filter) Allocation(a schemas.Allocation) error {
	if a.Event == schemas.EventStart {
		f.p.homes[a.Allocation] = home(a.GPUs)
	}
	a.TS = f.at(f.p.homes[a.Allocation], a.TS)
	return f.Sink.Allocation(a)
}

// home is the node of all GPUs, empty for several.
func home(gpus []schemas.GPURef) (node string) {
	for i, g := range gpus {
		if i > 0 && g.Node != node {
			return ""
		}
		node = g.Node
	}
	return node
}

// A router is what the fleet's sink is behind the recording.
type router struct{ p *plant }

func (r router) Sample(s *contract.Sample) error       { return r.p.pass(s.Node, *s) }
func (r router) Process(v schemas.Process) error       { return r.p.pass(v.Node, v) }
func (r router) Allocation(v schemas.Allocation) error { return r.p.pass("", v) }
func (r router) Tag(v schemas.Tag) error               { return r.p.pass("", v) }
func (r router) DeadLetter(v schemas.DeadLetter) error { return r.p.pass("", v) }

func (r router) Resource(v schemas.Resource) error {
	to := int64(oracle.Absent)
	if v.To != 0 {
		to = v.To
	}
	watts := int64(oracle.Absent)
	if v.IdleWatts != schemas.Absent32 {
		watts = int64(v.IdleWatts)
	}
	r.p.store.records = append(r.p.store.records, oracle.Record{
		Node: v.Node, Resource: v.Resource, Cluster: v.Cluster, Provider: v.Provider, Region: v.Region, SKU: v.SKU, GPUModel: v.Model,
		GPUs: v.GPUs, From: v.From, To: to, PricingCategory: v.PricingCategory, Scheduler: v.Scheduler, IdleWatts: watts,
	})
	return r.p.pass("", v)
}

func (r router) Price(v schemas.Price) error {
	p := oracle.Price{
		Provider: v.Provider, Region: v.Region, SKU: v.SKU, PricingCategory: v.PricingCategory, Currency: v.Currency,
		PerHour: v.PerHour, From: v.From, To: oracle.Absent, KnownAt: oracle.Absent,
	}
	r.p.store.prices = append(r.p.store.prices, p)
	return r.p.pass("", v)
}

// A feeder is the source of one collector: it hands over what is in its line. Every
// ten minutes it waits until the brokers have all of it: what was handed over
// since then is said again if the collector dies.
type feeder struct {
	plant *plant
	line  int
	look  time.Duration // between two looks at it
	stats chan func() publish.Stats
}

const checkEvery = 10 * time.Minute

// Run is source.Source's.
func (f *feeder) Run(ctx context.Context, to source.Sink) error {
	stats := <-f.stats
	look := time.NewTicker(f.look)
	defer look.Stop()
	handed, checked := int64(0), time.Now()
	f.plant.rewind(f.line)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		waiting := handed > 0 && (time.Since(checked) >= checkEvery || f.plant.over())
		if waiting && acknowledged(stats()) < handed {
			continue
		}
		if waiting {
			f.plant.forget(f.line)
			checked = time.Now()
		}
		events, err := f.plant.take(f.line)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := give(to, e); err != nil {
				return err
			}
		}
		handed += int64(len(events))
	}
}

// take gives what has come into a line since the last call.
func (p *plant) take(n int) ([]any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.step(time.Now().UnixMilli()); err != nil {
		return nil, err
	}
	l := p.lines[n]
	events := l.queue[l.next:]
	l.next = len(l.queue)
	return events, nil
}

// forget drops what was taken of a line; rewind gives all that was not dropped
// again.
func (p *plant) forget(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[n]
	l.queue, l.next = slices.Clone(l.queue[l.next:]), 0
}

func (p *plant) rewind(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lines[n].next = 0
}

// over reports whether the fleet has ended.
func (p *plant) over() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now >= p.end
}

// give hands one event to a collector.
func give(to source.Sink, event any) error {
	switch v := event.(type) {
	case contract.Sample:
		return to.Sample(&v)
	case schemas.Process:
		return to.Process(v)
	case schemas.Allocation:
		return to.Allocation(v)
	case schemas.Resource:
		return to.Resource(v)
	case schemas.Price:
		return to.Price(v)
	case schemas.Tag:
		return to.Tag(v)
	}
	return fmt.Errorf("a fleet says no %T", event)
}

func acknowledged(s publish.Stats) (n int64) {
	for _, stream := range s.Streams {
		n += stream.Acknowledged
	}
	return n
}

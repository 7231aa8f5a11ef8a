package fleet

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A Fleet is a simulation under way. Not for concurrent use.
type Fleet struct {
	cfg      Config
	start    int64  // Unix ms
	interval int64  // ms
	prefix   string // of allocation ids

	nodes []*node
	slots []*slot
	queue queue
	begun bool
	until int64 // ms since start: all events before it are out
	ended []Truth

	sample contract.Sample // scratch
}

// New lays out a fleet whose first event is at cfg.Start, which must be given.
func New(cfg Config) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Start.IsZero() {
		return nil, errors.New("source.fleet.start: not given: a fleet without a clock must be told when it begins")
	}
	f := &Fleet{cfg: cfg, start: cfg.Start.UnixMilli(), interval: cfg.Interval.Milliseconds()}
	f.prefix = fmt.Sprintf("fleet/%06x/", mix(cfg.Seed, drawIDs, uint64(f.start))>>40)
	f.build()
	for _, s := range f.slots {
		f.queue = append(f.queue, event{s.next, slotEvent, s.index})
	}
	for _, n := range f.nodes {
		f.queue = append(f.queue, event{n.next, nodeEvent, n.index})
	}
	heap.Init(&f.queue)
	return f, nil
}

// Start is the fleet's first instant, Unix ms: what times of the truth count from.
func (f *Fleet) Start() int64 { return f.start }

// Now is where the last step went, Unix ms: all events before it are out.
func (f *Fleet) Now() int64 { return f.start + f.until }

// Next is the instant, Unix ms, of the next event.
func (f *Fleet) Next() int64 {
	if !f.begun {
		return f.start
	}
	return f.start + f.queue[0].at
}

// Step hands over the events before until, Unix ms, in order of time. An error is
// the sink's; the fleet is of no use then.
func (f *Fleet) Step(until int64, to source.Sink) error {
	until -= f.start
	if until <= f.until {
		return nil
	}
	if !f.begun {
		f.begun = true
		if err := f.introduce(to); err != nil {
			return err
		}
	}
	for f.queue[0].at < until {
		if err := f.happen(&f.queue[0], to); err != nil {
			return err
		}
		heap.Fix(&f.queue, 0)
	}
	f.until = until
	return nil
}

// happen hands over one event and says when the next one of the same origin is.
func (f *Fleet) happen(e *event, to source.Sink) error {
	if e.kind == nodeEvent {
		n := f.nodes[e.index]
		err := f.read(n, to)
		n.next += f.interval
		n.ticks++
		e.at = n.next
		return err
	}
	s := f.slots[e.index]
	err := f.turn(s, to)
	e.at = s.next
	return err
}

// introduce hands over what is there before anything happens.
func (f *Fleet) introduce(to source.Sink) error {
	priced := map[string]bool{}
	for _, n := range f.nodes {
		o := n.offer
		if !priced[o.sku] {
			priced[o.sku] = true
			price, err := o.price(f.start)
			if err != nil {
				return err
			}
			if err := to.Price(price); err != nil {
				return err
			}
		}
		if err := to.Resource(n.record(f.start)); err != nil {
			return err
		}
	}
	for _, t := range tags(f.start) {
		if err := to.Tag(t); err != nil {
			return err
		}
	}
	return nil
}

// price is in force from the day it was listed, or the fleet's start.
func (o offer) price(start int64) (schemas.Price, error) {
	listed, err := time.Parse(time.DateOnly, o.date)
	if err != nil {
		return schemas.Price{}, fmt.Errorf("date of the price of %s: %w", o.sku, err)
	}
	return schemas.Price{
		Provider: o.provider, Region: o.region, SKU: o.sku, PricingCategory: "on_demand", Currency: "USD",
		PerHour: o.perHour, From: min(listed.UnixMilli(), start),
	}, nil
}

func (n *node) record(start int64) schemas.Resource {
	r := schemas.Resource{
		Node: n.name, Resource: n.resource, Cluster: "fleet", Provider: n.offer.provider, Region: n.offer.region, SKU: n.offer.sku,
		Model: n.offer.gpu.name, From: start, PricingCategory: "on_demand", Scheduler: true, IdleWatts: n.offer.gpu.threshold,
	}
	for _, g := range n.gpus {
		r.GPUs = append(r.GPUs, g.id)
	}
	slices.Sort(r.GPUs)
	return r
}

// An event is the next one of a slot or node.
type event struct {
	at    int64 // ms since the start
	kind  eventKind
	index int
}

// An eventKind orders what happens at one instant: holds change, then samples are
// taken.
type eventKind uint8

const (
	slotEvent eventKind = iota
	nodeEvent
)

// A queue is a heap of the next event of each slot and node.
type queue []event

func (q queue) Len() int      { return len(q) }
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.kind, b.kind), cmp.Compare(a.index, b.index)) < 0
}

// Push is heap.Interface's; nothing is ever added.
func (q *queue) Push(x any) { *q = append(*q, x.(event)) }

// Pop is heap.Interface's; nothing is ever taken away.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gpumeter/gpumeter/benchmarks/node"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

const (
	begin   = 1_780_275_600_000 // 2026-06-01T01:00:00Z
	cadence = 10                // seconds that a node collects for one message

	rowsOfMessage = cadence * node.GPUs
)

// A fleet is nodes of 8 GPUs, as encoded samples and as reference events.
type fleet struct {
	warm        int // seconds before what is measured
	samples     int // measured ones
	bytes       int // of measured messages
	messages    messages
	arrived     []int // messages that have arrived by the end of each second
	resources   []schemas.Resource
	prices      []schemas.Price
	tags        []schemas.Tag
	allocations []schemas.Allocation // in order of ts
	rand        *rand.Rand

	decoder wire.SampleDecoder
	batch   schemas.Samples
	copied  []byte
}

func newFleet(nodes, warm, seconds int) (*fleet, error) {
	f := &fleet{warm: warm, rand: rand.New(rand.NewPCG(1, 2))}
	all := make([]*node.Node, nodes)
	for i := range all {
		all[i] = node.New(i)
		f.addResource(i, all[i])
	}
	f.addPrices()
	f.addTags()
	f.addHolds(all, warm+seconds)
	return f, f.addSamples(all, warm+seconds)
}

// addSamples encodes what the nodes send: each every ten seconds, in turn.
func (f *fleet) addSamples(nodes []*node.Node, seconds int) error {
	var enc wire.SampleEncoder
	var s schemas.Samples
	for second := range seconds {
		for i := second % cadence; second >= cadence && i < len(nodes); i += cadence {
			nodes[i].Fill(&s, begin+int64(second-cadence)*1000, cadence)
			rec, err := enc.Encode(&s)
			if err != nil {
				return err
			}
			if second >= f.warm {
				f.samples += s.Len()
				f.bytes += len(rec.Value)
			}
			f.messages.add(rec)
		}
		f.arrived = append(f.arrived, len(f.messages.ends))
	}
	return nil
}

func (f *fleet) addResource(i int, n *node.Node) {
	r := schemas.Resource{
		Node: n.Name, Resource: fmt.Sprintf("i-%08x", i), Cluster: "c1", Provider: "aws", Region: fmt.Sprintf("region-%d", i%4),
		SKU: "p5.48xlarge", Model: "NVIDIA H100 80GB HBM3", From: begin, PricingCategory: "spot", Scheduler: true, IdleWatts: 120_000,
	}
	for _, s := range n.Series {
		r.GPUs = append(r.GPUs, s.GPU)
	}
	slices.Sort(r.GPUs)
	f.resources = append(f.resources, r)
}

// addPrices makes spot prices that change every 20 minutes, each row known a little
// later than the one before, on top of a list price.
func (f *fleet) addPrices() {
	for region := range 4 {
		p := schemas.Price{Provider: "aws", Region: fmt.Sprintf("region-%d", region), SKU: "p5.48xlarge", PricingCategory: "spot", Currency: "USD"}
		p.PerHour, p.From = 98_320_000_000, begin-86_400_000
		f.prices = append(f.prices, p)
		for k := range 300 {
			q := p
			q.From = begin + int64(k-100)*1_200_000
			q.To, q.KnownAt, q.PerHour = q.From+1_200_000, q.From-60_000, p.PerHour/2+int64(k)*1_000_003
			f.prices = append(f.prices, q)
		}
	}
}

func (f *fleet) addTags() {
	for k := range 20 {
		f.tags = append(f.tags, schemas.Tag{Match: fmt.Sprintf("user=user-%d*;namespace=*", k), Set: fmt.Sprintf("team=team-%d;project=project-%d", k%7, k), From: begin, Priority: int64(k % 3)})
	}
}

// addHolds gives every GPU jobs of two minutes to an hour, one node in eight whole
// nodes at a time, one GPU in eight two jobs at once.
func (f *fleet) addHolds(nodes []*node.Node, seconds int) {
	end := begin + int64(seconds)*1000
	job := 0
	for i, n := range nodes {
		per, sharing := 1, 1
		if i%8 == 0 {
			per = node.GPUs
		}
		for g := 0; g < node.GPUs; g += per {
			if per == 1 && g%8 == 1 {
				sharing = 2
			}
			for range sharing {
				for t := begin - f.rand.Int64N(3_600_000); t < end; {
					length := 120_000 + f.rand.Int64N(3_480_000)
					f.hold(job, n, g, per, t, t+length)
					job, t = job+1, t+length+f.rand.Int64N(20_000)
				}
			}
			sharing = 1
		}
	}
	slices.SortStableFunc(f.allocations, func(a, b schemas.Allocation) int { return cmp.Compare(a.TS, b.TS) })
}

func (f *fleet) hold(job int, n *node.Node, first, count int, from, to int64) {
	a := schemas.Allocation{
		TS: from, Event: schemas.EventStart, Allocation: fmt.Sprintf("slurm/c1/%d", job), HasGPUs: true, User: fmt.Sprintf("user-%d", job%50),
		Name: "train", Namespace: "gpu", HasLabels: true, Labels: []schemas.Label{{Key: "phase", Value: "train"}}, ReqGPUs: -1, ReqWalltime: -1,
	}
	for _, s := range n.Series[first : first+count] {
		a.GPUs = append(a.GPUs, schemas.GPURef{Node: n.Name, GPU: s.GPU})
	}
	f.allocations = append(f.allocations, a,
		schemas.Allocation{TS: to, Event: schemas.EventEnd, Allocation: a.Allocation, ReqGPUs: -1, ReqWalltime: -1})
}

// decode only decodes.
func (f *fleet) decode(from, to int) error {
	for i := f.arrived[from-1]; i < f.arrived[to-1]; i++ {
		if err := f.decoder.Decode(&f.batch, f.messages.at(i)); err != nil {
			return err
		}
	}
	return nil
}

// copyBytes copies the encoded bytes once.
func (f *fleet) copyBytes(from, to int) error {
	for i := f.arrived[from-1]; i < f.arrived[to-1]; i++ {
		f.copied = append(f.copied[:0], f.messages.at(i).Value...)
	}
	if len(f.copied) == 0 {
		return errors.New("the last message is empty")
	}
	return nil
}

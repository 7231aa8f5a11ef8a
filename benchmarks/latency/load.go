package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

const (
	gpusOfNode   = 8
	alertAfter   = 20 * time.Second
	patientPhase = "batch" // a class of workload that may be idle for a day
	warmUp       = 30      // seconds before the first job falls idle
	coolDown     = 40      // seconds after the last has
)

// A job holds GPUs of one node or of two that follow each other.
type job struct {
	name    string
	nodes   []int
	gpus    []int // of each node
	patient bool
	idleAt  int // second of the run from which on it is idle; never = it works
}

const never = 1 << 30

// A load is the fleet: what it sends, and when it sent what.
type load struct {
	o      options
	client *kgo.Client
	nodes  int
	jobs   []job
	of     [][]*job // by node and GPU
	byName map[string]*job
	began  time.Time

	mu   sync.Mutex
	sent [][]time.Time // by node and second: before its message went to the client
	err  error         // of any message

	encoder wire.SampleEncoder
	batch   schemas.Samples
}

// newLoad divides the nodes among jobs: of ten nodes seven have one job of eight
// GPUs, one has eight jobs of one, two share one job of sixteen.
func newLoad(o options, client *kgo.Client) *load {
	l := &load{o: o, client: client, nodes: o.gpus / gpusOfNode / 10 * 10, byName: map[string]*job{}}
	all := []int{0, 1, 2, 3, 4, 5, 6, 7}
	for n := 0; n < l.nodes; n++ {
		switch n % 10 {
		case 0:
			for g := range gpusOfNode {
				l.jobs = append(l.jobs, job{nodes: []int{n}, gpus: []int{g}})
			}
		case 1:
			l.jobs = append(l.jobs, job{nodes: []int{n, n + 1}, gpus: all})
			n++
		default:
			l.jobs = append(l.jobs, job{nodes: []int{n}, gpus: all})
		}
	}
	l.of = make([][]*job, l.nodes)
	for n := range l.of {
		l.of[n] = make([]*job, gpusOfNode)
	}
	l.assign()
	l.sent = make([][]time.Time, l.nodes)
	for n := range l.sent {
		l.sent[n] = make([]time.Time, l.total())
	}
	return l
}

// assign names the jobs and says when they are idle.
func (l *load) assign() {
	fall, due := 0, int(float64(l.o.seconds)*l.o.rate)
	for i := range l.jobs {
		j := &l.jobs[i]
		j.name, j.idleAt = fmt.Sprintf("job-%05d", i), never
		switch {
		case float64(i%100) < 100*l.o.idle:
			j.patient, j.idleAt = true, 0
		case fall < due:
			j.idleAt = warmUp + int(float64(fall)/l.o.rate)
			fall++
		}
		l.byName[j.name] = j
		for _, n := range j.nodes {
			for _, g := range j.gpus {
				l.of[n][g] = j
			}
		}
	}
}

// total is how many seconds the run takes.
func (l *load) total() int { return warmUp + l.o.seconds + coolDown }

func nodeName(n int) string { return fmt.Sprintf("node-%05d", n) }
func gpuName(g int) string  { return fmt.Sprintf("GPU-%d", g) }

// references publishes resources, their price, and the starts of all jobs.
func (l *load) references(ctx context.Context) error {
	l.began = time.Now().Add(2 * time.Second).Truncate(time.Second)
	start := l.began.UnixMilli()
	resources := make([]schemas.Resource, l.nodes)
	for n := range resources {
		resources[n] = schemas.Resource{
			Node: nodeName(n), Resource: "i-" + nodeName(n), Cluster: "bench", Provider: "aws", Region: "us-east-1", SKU: "p5.48xlarge",
			Model: "H100", From: start, PricingCategory: "on_demand", Scheduler: true, IdleWatts: schemas.Absent32,
		}
		for g := range gpusOfNode {
			resources[n].GPUs = append(resources[n].GPUs, gpuName(g))
		}
	}
	starts := make([]schemas.Allocation, len(l.jobs))
	for i := range l.jobs {
		starts[i] = l.jobs[i].start(start)
	}
	price := schemas.Price{
		Provider: "aws", Region: "us-east-1", SKU: "p5.48xlarge", PricingCategory: "on_demand", Currency: "USD",
		PerHour: 55_040_000_000, From: start - 1,
	}
	var records []*kgo.Record
	for _, encode := range []func() (*kgo.Record, error){
		func() (*kgo.Record, error) { return wire.Encode("", []schemas.Price{price}) },
		func() (*kgo.Record, error) { return wire.Encode("", resources) },
		func() (*kgo.Record, error) { return wire.Encode("", starts) },
	} {
		rec, err := encode()
		if err != nil {
			return err
		}
		records = append(records, rec)
	}
	return l.client.ProduceSync(ctx, records...).FirstErr()
}

func (j *job) start(ts int64) schemas.Allocation {
	phase := "training"
	if j.patient {
		phase = patientPhase
	}
	a := schemas.Allocation{
		TS: ts, Event: schemas.EventStart, Allocation: j.name, HasGPUs: true, User: "somebody", Name: "train", ReqGPUs: -1, ReqWalltime: -1,
		HasLabels: true, Labels: []schemas.Label{{Key: "phase", Value: phase}, {Key: "team", Value: "research"}},
	}
	for _, n := range j.nodes {
		for _, g := range j.gpus {
			a.GPUs = append(a.GPUs, schemas.GPURef{Node: nodeName(n), GPU: gpuName(g)})
		}
	}
	return a
}

// instant is when node n takes its samples in a second of the run: nodes are
// spread over it.
func (l *load) instant(n, second int) time.Time {
	return l.began.Add(time.Duration(second)*time.Second + time.Duration(n)*time.Second/time.Duration(l.nodes)).Truncate(time.Millisecond)
}

// run sends every node's samples when they are due.
func (l *load) run(ctx context.Context) error {
	for second := range l.total() {
		for n := range l.nodes {
			if wait := time.Until(l.instant(n, second)); wait > 0 {
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-time.After(wait):
				}
			}
			if err := l.send(ctx, n, second); err != nil {
				return err
			}
		}
	}
	return l.client.Flush(ctx)
}

func (l *load) send(ctx context.Context, n, second int) error {
	l.fill(n, second)
	rec, err := l.encoder.Encode(&l.batch)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent[n][second] = time.Now()
	l.client.Produce(ctx, rec, l.acknowledged)
	return l.err
}

func (l *load) acknowledged(_ *kgo.Record, err error) {
	if err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.err = err
	}
}

// fill makes the message of a node: one sample of each GPU.
func (l *load) fill(n, second int) {
	b := &l.batch
	b.Reset()
	b.Node = nodeName(n)
	for g := range gpusOfNode {
		work := uint32(600_000 + (n*31+g*17+second*7919)%300_000)
		if l.of[n][g].idleAt <= second {
			work = 0
		}
		b.Series = append(b.Series, schemas.Series{GPU: gpuName(g), Model: "H100", Interval: 1000, MemoryTotal: 80 << 30})
		b.Index = append(b.Index, uint16(g))
		b.TS = append(b.TS, l.instant(n, second).UnixMilli())
		b.Utilization, b.SMActive = append(b.Utilization, work), append(b.SMActive, work*9/10)
		b.TensorActive, b.DRAMActive = append(b.TensorActive, work/2), append(b.DRAMActive, work/3)
		b.MemoryUsed = append(b.MemoryUsed, 60<<30)
		b.Power = append(b.Power, 90_000+work/2)
		b.Energy = append(b.Energy, uint64(1_000_000+second*400))
		b.Temperature = append(b.Temperature, 50)
	}
}

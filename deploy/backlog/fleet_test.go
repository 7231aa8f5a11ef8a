package backlog

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

const (
	gpus    = 8      // of a node
	collect = 10     // seconds of samples in one record, as collectors publish them
	job     = 10     // minutes
	second  = 1000   // ms
	minute  = 60_000 // ms
)

// A fleet is nodes that sample each GPU once a second and run one job after the
// other. What it says is a function of the time.
type fleet struct {
	t     *testing.T
	nodes int
	begin int64 // Unix ms, a whole minute
	enc   wire.SampleEncoder
}

func (f *fleet) node(n int) string { return fmt.Sprintf("node-%04d", n) }

// perSecond is how many samples it takes in a second.
func (f *fleet) perSecond() int { return f.nodes * gpus }

// known is what is known of it from the start.
func (f *fleet) known() (resources []schemas.Resource, price schemas.Price) {
	for n := range f.nodes {
		r := schemas.Resource{
			Node: f.node(n), Resource: "i-" + f.node(n), Provider: "aws", SKU: "p5.48xlarge", From: f.begin,
			PricingCategory: "on_demand", Scheduler: true, IdleWatts: 100_000,
		}
		for g := range gpus {
			r.GPUs = append(r.GPUs, gpu(n, g))
		}
		resources = append(resources, r)
	}
	return resources, schemas.Price{
		Provider: "aws", SKU: "p5.48xlarge", PricingCategory: "on_demand", Currency: "USD", PerHour: 98_320_000_007, From: f.begin,
	}
}

func gpu(n, g int) string { return fmt.Sprintf("GPU-%08d-%d", n, g) }

// said is what it says between two instants that lie `collect` seconds apart.
func (f *fleet) said(from int64) (samples []*schemas.Samples, allocations []schemas.Allocation) {
	for n := range f.nodes {
		samples = append(samples, f.readings(n, from))
		number := (from - f.begin) / (job * minute)
		started := f.begin + number*job*minute + int64(n%60)*second
		a := schemas.Allocation{TS: started, Event: schemas.EventStart, Allocation: fmt.Sprintf("job-%d-%d", n, number), User: "u", ReqGPUs: -1, ReqWalltime: -1, HasGPUs: true}
		if from <= started && started < from+collect*second {
			for g := range gpus {
				a.GPUs = append(a.GPUs, schemas.GPURef{Node: f.node(n), GPU: gpu(n, g)})
			}
			allocations = append(allocations, a)
		}
		if ended := started + (job-1)*minute; from <= ended && ended < from+collect*second {
			allocations = append(allocations, schemas.Allocation{TS: ended, Event: schemas.EventEnd, Allocation: a.Allocation, ReqGPUs: -1, ReqWalltime: -1})
		}
	}
	return samples, allocations
}

// readings are those of a node from an instant on.
func (f *fleet) readings(n int, from int64) *schemas.Samples {
	s := &schemas.Samples{Node: f.node(n)}
	for g := range gpus {
		s.Series = append(s.Series, schemas.Series{GPU: gpu(n, g), Model: "H100", Interval: second, MemoryTotal: 80 << 30})
		for i := range int64(collect) {
			ts := from + i*second + int64(g)
			idle := (ts/minute+int64(n))%7 == 0
			s.Index, s.TS = append(s.Index, uint16(g)), append(s.TS, ts)
			used, power := uint32(700_000+ts%200_000), uint32(500_000+ts%90_000)
			if idle {
				used, power = 0, 90_000
			}
			s.Utilization, s.SMActive = append(s.Utilization, used), append(s.SMActive, used/2)
			s.TensorActive, s.DRAMActive = append(s.TensorActive, schemas.Absent32), append(s.DRAMActive, schemas.Absent32)
			s.MemoryUsed, s.Power = append(s.MemoryUsed, uint64(g+1)<<30), append(s.Power, power)
			s.Energy, s.Temperature = append(s.Energy, uint64(ts-f.begin)/1000*500), append(s.Temperature, 60)
		}
	}
	return s
}

// tell publishes what it says from one instant to another, each record appended when
// it was collected, or now.
func (b *bench) tell(f *fleet, from, to int64) {
	b.t.Helper()
	for ; from < to; from += collect * second {
		samples, allocations := f.said(from)
		for _, s := range samples {
			rec, err := f.enc.Encode(s)
			b.produce(rec, err, from+collect*second)
		}
		for len(allocations) > 0 {
			some := allocations[:min(len(allocations), 50)]
			allocations = allocations[len(some):]
			rec, err := wire.Encode("", some)
			b.produce(rec, err, from+collect*second)
		}
	}
	b.flush()
}

func (b *bench) produce(rec *kgo.Record, err error, appended int64) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	rec.Timestamp = instant(appended)
	b.client.Produce(b.t.Context(), rec, b.failed.Promise())
}

// feed gives an engine what the fleet says until an instant.
func (f *fleet) feed(e *engine.Engine, to int64, out engine.Output) {
	resources, price := f.known()
	for i := range resources {
		e.AddResource(&resources[i])
	}
	e.AddPrice(&price)
	for from := f.begin; from < to; from += collect * second {
		samples, allocations := f.said(from)
		for i := range allocations {
			e.AddAllocation(&allocations[i])
		}
		for _, s := range samples {
			e.AddSamples(s)
		}
		e.Advance(from+collect*second, false, out)
	}
	e.Advance(to+minute, true, out)
}

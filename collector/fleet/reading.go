package fleet

import (
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// processEvery is how many samples of a GPU come to one of its processes.
const processEvery = 30

// read hands over one sample of each series of a node.
func (f *Fleet) read(n *node, to source.Sink) error {
	x := f.faultAt(n, n.next)
	for _, g := range n.gpus {
		if x.covers(g.index, n.next, f.reach()) {
			continue
		}
		if err := f.readGPU(g, to); err != nil {
			return err
		}
		if (n.ticks+int64(g.index))%processEvery == 0 {
			if err := f.readProcesses(g, to); err != nil {
				return err
			}
		}
		g.sampled = n.next
	}
	return nil
}

// readGPU hands over the samples of a GPU and of its slices.
func (f *Fleet) readGPU(g *gpu, to source.Sink) error {
	model := g.node.offer.gpu
	var all, held load
	var memory uint64
	if len(g.slices) == 0 {
		all, held, memory = f.loads(g, "")
	}
	for i := range g.slices {
		work, rest, used := f.loads(g, g.slices[i].id)
		if err := f.readSlice(g, &g.slices[i], work.plus(rest), used, to); err != nil {
			return err
		}
		all, held, memory = all.plus(work.times(float64(g.slices[i].share)/1e6)), rest, memory+used
	}
	seen := all.plus(held)
	watts := model.idle
	if memory > 0 {
		watts *= 1.5 // a context keeps the memory clock up
	}
	jitter := 1 + 0.02*(2*unit(f.noise(g, 99))-1)
	watts = min(model.watts, (watts+all.power*(model.watts-model.idle))*jitter)
	g.energy += watts * float64(g.node.next-max(0, g.sampled)) / 1000

	s := f.blank(g, "", memory+512*mib, model.memory)
	s.Power, s.Energy = uint32(watts*milli), uint64(g.energy)
	s.Temperature = int16(29 + 48*watts/model.watts)
	if len(g.slices) == 0 { // under MIG the device as a whole reports none of these
		s.Utilization = ppm(seen.util)
		if model.counters {
			s.SMActive, s.TensorActive, s.DRAMActive = ppm(seen.sm), ppm(seen.tensor), ppm(seen.dram)
		}
	}
	return to.Sample(s)
}

// readSlice hands over the sample of a MIG instance: utilization and power are not
// to be had of one.
func (f *Fleet) readSlice(g *gpu, i *slice, seen load, memory uint64, to source.Sink) error {
	s := f.blank(g, i.id, memory+32*mib, i.memory)
	s.SMActive, s.TensorActive, s.DRAMActive = ppm(seen.sm), ppm(seen.tensor), ppm(seen.dram)
	return to.Sample(s)
}

func (f *Fleet) blank(g *gpu, slice string, used, total uint64) *contract.Sample {
	f.sample = contract.Sample{
		Node:   g.node.name,
		Series: schemas.Series{GPU: g.id, Slice: slice, Model: g.node.offer.gpu.name, Interval: uint32(f.interval), MemoryTotal: total},
		TS:     f.start + g.node.next, Utilization: schemas.Absent32, SMActive: schemas.Absent32, TensorActive: schemas.Absent32,
		DRAMActive: schemas.Absent32, MemoryUsed: min(used, total), Power: schemas.Absent32, Energy: schemas.Absent64, Temperature: schemas.Absent16,
	}
	return &f.sample
}

// loads is the mean of the holders' work since the last sample (since three
// intervals ago, or since they came), what is seen of those at rest, and the
// memory that they hold.
func (f *Fleet) loads(g *gpu, slice string) (work, rest load, memory uint64) {
	t := g.node.next
	since := max(g.sampled, t-f.reach(), 0)
	for i := range g.holders {
		h := &g.holders[i]
		if h.slice != slice {
			continue
		}
		j := h.job
		from := max(since, j.start)
		if from < t {
			share := float64(j.busy(from, t, h.n)) / float64(t-from)
			work = work.plus(j.work.at(t, f.noise(g, uint64(h.n)+uint64(j.start))).times(share))
		}
		if r := j.rest.at(t, f.noise(g, uint64(j.start))); r.util > rest.util {
			rest = r
		}
		memory += j.memoryAt(t)
	}
	return work, rest, memory
}

func (f *Fleet) noise(g *gpu, what uint64) uint64 {
	return mix(f.cfg.Seed, uint64(g.node.index*perNode+g.index), what, uint64(g.node.ticks))
}

// readProcesses hands over a reading of each process on a GPU.
func (f *Fleet) readProcesses(g *gpu, to source.Sink) error {
	for _, h := range g.holders {
		err := to.Process(schemas.Process{
			TS: f.start + g.node.next, Node: g.node.name, GPU: g.id, Slice: h.slice, PID: h.pid, Allocation: h.job.id,
			SMUtilization: schemas.Absent32, MemoryUsed: h.job.memoryAt(g.node.next),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Package node simulates the signals of one busy GPU node for benchmarks: what
// eight training GPUs report, with noise of the size that real ones have.
package node

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gpumeter/gpumeter/schemas"
)

// GPUs is the number of GPUs of a node.
const GPUs = 8

type gpu struct {
	sm, power, memory, temperature, energy, phase float64
}

// A Node is one node whose GPUs all train. Not for concurrent use.
type Node struct {
	Name   string
	Series []schemas.Series
	gpus   [GPUs]gpu
	rand   *rand.Rand
	second int
}

// New makes node number id; equal ids give equal signals.
func New(id int) *Node {
	n := &Node{Name: fmt.Sprintf("gpu-node-%04d", id), rand: rand.New(rand.NewPCG(uint64(id), 7))}
	for i := range n.gpus {
		n.gpus[i] = gpu{sm: 0.7, power: 550, memory: 40000 + n.rand.Float64()*30000, temperature: 55, energy: float64(n.rand.Int64N(1e9)), phase: n.rand.Float64() * 6}
		a, b := n.rand.Uint64(), n.rand.Uint64()
		n.Series = append(n.Series, schemas.Series{
			GPU:   fmt.Sprintf("GPU-%08x-%04x-%04x-%04x-%012x", uint32(a>>32), uint16(a>>16), uint16(a), uint16(b>>48), b&0xFFFFFFFFFFFF),
			Model: "NVIDIA H100 80GB HBM3", Interval: 1000, MemoryTotal: 81559 << 20,
		})
	}
	return n
}

func unit(x float64) float64 { return min(1, max(0, x)) }

// ppm is a share in millionths, read out at 1/steps.
func ppm(x, steps float64) uint32 { return uint32(math.Floor(x*steps) * (1e6 / steps)) }

// Fill replaces s by the next seconds readings of each GPU at 1 Hz, the first at
// from (Unix ms), sorted by GPU and time. Utilisation comes in whole percent as
// NVML gives it, the profiling shares at 1/10,000.
func (n *Node) Fill(s *schemas.Samples, from int64, seconds int) {
	s.Reset()
	s.Node, s.Series = n.Name, append(s.Series, n.Series...)
	at := make([]int64, seconds)
	for k := range at {
		at[k] = from + int64(k)*1000 + n.rand.Int64N(8)
	}
	for i := range n.gpus {
		for k := range seconds {
			n.read(s, i, at[k], n.second+k)
		}
	}
	n.second += seconds
}

func (n *Node) read(s *schemas.Samples, i int, ts int64, second int) {
	g, r := &n.gpus[i], n.rand
	g.sm = unit(0.7 + 0.9*(g.sm-0.7) + r.NormFloat64()*0.03 + 0.05*math.Sin(float64(second)/3+g.phase))
	utilization := math.Round(unit(g.sm+0.25+r.NormFloat64()*0.03)*100) / 100
	g.power = max(60, g.power+0.6*(80+g.sm*650-g.power)+r.NormFloat64()*6)
	if r.IntN(60) == 0 {
		g.memory = min(81000, max(1500, g.memory+r.NormFloat64()*300))
	}
	g.temperature += 0.05*(30+g.power/16-g.temperature) + r.NormFloat64()*0.1
	g.energy += g.power + r.NormFloat64()*3
	s.Index, s.TS = append(s.Index, uint16(i)), append(s.TS, ts)
	s.Utilization = append(s.Utilization, ppm(utilization+1e-9, 100))
	s.SMActive = append(s.SMActive, ppm(g.sm, 10_000))
	s.TensorActive = append(s.TensorActive, ppm(unit(g.sm*0.6+r.NormFloat64()*0.01), 10_000))
	s.DRAMActive = append(s.DRAMActive, ppm(unit(g.sm*0.5+r.NormFloat64()*0.01), 10_000))
	s.MemoryUsed = append(s.MemoryUsed, uint64(g.memory)<<20)
	s.Power = append(s.Power, uint32(g.power*10)*100)
	s.Energy = append(s.Energy, uint64(g.energy))
	s.Temperature = append(s.Temperature, int16(g.temperature))
}

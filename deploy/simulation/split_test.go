//go:build synctests

package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// What the simulated fleet is made of.
const (
	fleetGPUs     = 8 // of a node
	fleetInterval = 10 * time.Second
)

// A splitter makes several small nodes of each node of the fleet, and takes every nth
// sample only. What is dear in virtual time is the number of samples and cells, and
// what is wanted is many nodes, and allocations that lie on several of them.
type splitter struct {
	source.Sink
	gpus  int   // of a node; 8 leaves the fleet's as they are
	every int64 // ms between two samples of a GPU, a multiple of the fleet's interval
	nodes map[schemas.GPURef]string
}

func split(to source.Sink, gpus int, every time.Duration) *splitter {
	return &splitter{Sink: to, gpus: gpus, every: every.Milliseconds(), nodes: map[schemas.GPURef]string{}}
}

// nodesOf names the nodes that a node of the fleet becomes.
func nodesOf(node string, gpus int) (names []string) {
	if gpus == fleetGPUs {
		return []string{node}
	}
	for part := range fleetGPUs / gpus {
		names = append(names, fmt.Sprintf("%s-%d", node, part))
	}
	return names
}

// nodeOf is where a GPU of a node of the fleet lies.
func (s *splitter) nodeOf(node, gpu string) string {
	return s.nodes[schemas.GPURef{Node: node, GPU: gpu}]
}

func (s *splitter) Resource(v schemas.Resource) error {
	for part, node := range nodesOf(v.Node, s.gpus) {
		r := v
		r.Node, r.GPUs = node, v.GPUs[part*s.gpus:(part+1)*s.gpus]
		r.Resource = fmt.Sprintf("%s-%d", v.Resource, part)
		for _, gpu := range r.GPUs {
			s.nodes[schemas.GPURef{Node: v.Node, GPU: gpu}] = node
		}
		if err := s.Sink.Resource(r); err != nil {
			return err
		}
	}
	return nil
}

func (s *splitter) Sample(sample *contract.Sample) error {
	interval := int64(sample.Interval)
	if sample.TS/interval%(s.every/interval) != 0 {
		return nil
	}
	v := *sample
	v.Node, v.Interval = s.nodeOf(v.Node, v.GPU), uint32(s.every)
	return s.Sink.Sample(&v)
}

func (s *splitter) Process(p schemas.Process) error {
	p.Node = s.nodeOf(p.Node, p.GPU)
	return s.Sink.Process(p)
}

func (s *splitter) Allocation(a schemas.Allocation) error {
	a.GPUs = slices.Clone(a.GPUs)
	for i := range a.GPUs {
		a.GPUs[i].Node = s.nodeOf(a.GPUs[i].Node, a.GPUs[i].GPU)
	}
	return s.Sink.Allocation(a)
}

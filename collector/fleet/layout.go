package fleet

import (
	"fmt"
	"slices"
)

// A node is a server of eight GPUs that is paid for as one.
type node struct {
	index          int
	name, resource string
	offer          offer
	gpus           []*gpu
	shared         bool  // some of its GPUs have several holders
	grid           int64 // ms: it samples at grid, grid+interval, ...
	next           int64 // instant of its next sample
	ticks          int64 // samples so far
	faults         []fault
	drawn          int64 // faults are drawn up to here
	past           int   // faults that are over
}

// A gpu is one device.
type gpu struct {
	node    *node
	index   int
	id      string
	slices  []slice
	holders []hold // by whom it is held now
	history []*job // who has held it, while a holder of that time goes on; only where it is shared
	energy  float64
	sampled int64 // instant of its last sample, -1 = none
}

// A slice is a MIG instance.
type slice struct {
	id     string
	share  int32 // ppm of the device
	memory uint64
}

// A hold is one job on a device or slice: its n-th GPU.
type hold struct {
	job   *job
	n     int
	slice string
	pid   int64
}

// A seat is a place that a job may hold.
type seat struct {
	gpu   *gpu
	slice *slice // nil = the whole device
	share int32  // ppm, 0 = not given
}

// label names the seat without wall-clock parts.
func (s seat) label() string {
	l := fmt.Sprintf("%s/%d", s.gpu.node.name, s.gpu.index)
	if s.slice != nil {
		for i := range s.gpu.slices {
			if &s.gpu.slices[i] == s.slice {
				l += fmt.Sprintf("/%d", i)
			}
		}
	}
	return l
}

// A use is what a node is given to.
type use uint8

const (
	singles use = iota // eight jobs of one GPU
	whole              // one job
	gang               // one job, with the next nodes
	halves             // two jobs
	mixed              // MIG slices, shared GPUs, pairs
	pairs              // four jobs
)

// uses is the order in which nodes are given out: eight of them show everything.
func uses() []use { return []use{singles, whole, gang, mixed, halves, singles, pairs, singles} }

// gangNodes is how many nodes a gang has, where there are so many left.
const gangNodes = 2

// build lays out the nodes and slots.
func (f *Fleet) build() {
	d := roll(f.cfg.Seed, drawLayout)
	offers := catalog()
	for i := range f.cfg.GPUs / perNode {
		f.addNode(i, offers[(i+int(f.cfg.Seed%uint64(len(offers))))%len(offers)], d)
	}
	for i := 0; i < len(f.nodes); {
		u := uses()[i%len(uses())]
		n := 1
		if u == gang {
			n = min(gangNodes, len(f.nodes)-i)
		}
		f.give(u, f.nodes[i:i+n], d)
		i += n
	}
}

func (f *Fleet) addNode(i int, o offer, d dice) {
	n := &node{
		index: i, name: fmt.Sprintf("node-%04d", i), resource: fmt.Sprintf("i-%012x", mix(f.cfg.Seed, drawIDs, uint64(i))>>16),
		offer: o, grid: d.Int64N(f.interval),
	}
	n.next = n.grid
	for k := range perNode {
		n.gpus = append(n.gpus, &gpu{node: n, index: k, id: "GPU-" + f.uuid(uint64(i), uint64(k)), energy: float64(d.IntN(50_000_000)), sampled: -1})
	}
	f.nodes = append(f.nodes, n)
}

// uuid is an id that is new with every seed and start.
func (f *Fleet) uuid(values ...uint64) string {
	h := mix(append([]uint64{f.cfg.Seed, drawIDs, uint64(f.start)}, values...)...)
	g := mix(h)
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", h>>32, h>>16&0xffff, h&0xffff, g>>48, g&0xffffffffffff)
}

// give makes the slots of nodes.
func (f *Fleet) give(u use, nodes []*node, d dice) {
	n := nodes[0]
	switch u {
	case whole, gang:
		var all []seat
		for _, n := range nodes {
			all = append(all, seats(n.gpus)...)
		}
		f.addSlot(large, all)
	case halves:
		f.addSlot(large, seats(n.gpus[:4]))
		f.addSlot(large, seats(n.gpus[4:]))
	case pairs:
		for k := 0; k < perNode; k += 2 {
			f.addSlot(large, seats(n.gpus[k:k+2]))
		}
	case singles:
		for k := range n.gpus {
			f.addSlot(small, seats(n.gpus[k:k+1]))
		}
	case mixed:
		n.shared = true
		f.mix(n, d)
	}
}

func seats(gpus []*gpu) []seat {
	all := make([]seat, len(gpus))
	for i, g := range gpus {
		all[i] = seat{gpu: g}
	}
	return all
}

// mix shares three GPUs (given shares, equal ones, MIG instances where the model
// has them) and leaves the others to jobs of one.
func (f *Fleet) mix(n *node, d dice) {
	half, rest := seat{gpu: n.gpus[0], share: 500_000}, seat{gpu: n.gpus[0], share: 250_000}
	f.addSlot(shared, []seat{half})
	f.addSlot(shared, []seat{rest})
	for range 2 + d.IntN(2) {
		f.addSlot(shared, []seat{{gpu: n.gpus[1]}})
	}
	first := 2
	if n.offer.gpu.mig {
		first = 4
		f.cut(n.gpus[2], []int{3, 3, 1})
		f.cut(n.gpus[3], []int{2, 2, 1, 1, 1})
	}
	for k := first; k < perNode; k++ {
		f.addSlot(small, seats(n.gpus[k:k+1]))
	}
}

// cut makes MIG instances of so many sevenths of the device.
func (f *Fleet) cut(g *gpu, sevenths []int) {
	for i, of := range sevenths {
		g.slices = append(g.slices, slice{
			id:     "MIG-" + f.uuid(uint64(g.node.index), uint64(g.index), uint64(i)),
			share:  int32(of * 1_000_000 / 7),
			memory: g.node.offer.gpu.memory / 8 * uint64(of+of/3),
		})
	}
	g.slices = slices.Clip(g.slices) // seats point into it
	for i := range g.slices {
		f.addSlot(instance, []seat{{gpu: g, slice: &g.slices[i], share: g.slices[i].share}})
	}
}

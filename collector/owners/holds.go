package owners

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// Times in milliseconds that decide when a hold begins and ends; see the package.
const (
	settled = 5 * 60_000 // a process this old was not on its GPU since its start
	absence = 30_000     // a living process off its GPU for this long has let go of it
)

// A process is one process on GPUs, and what is said of it when it begins a hold.
type process struct {
	key
	born   int64 // Unix ms
	owner  Owner
	uid    int
	group  string // processes of one group are one allocation at a time
	grants bool   // what it uses was granted to its owner, who keeps it while root lives
	root   key    // the ancestor that they all descend from
	about  schemas.Allocation

	ignored bool // it holds nothing; only key is set

	hold   *hold
	absent int64 // first observation without it, 0 = it was in the last
	holds  int   // how many it has been part of
}

// A hold is an open allocation.
type hold struct {
	group  string
	grants bool
	start  schemas.Allocation
	update *schemas.Allocation // the newest, nil = none
	gpus   []schemas.GPURef
	on     map[key][]schemas.GPURef // processes that use GPUs, and which
	roots  map[key]bool             // living ancestors, where granted
	worst  outcome
	when   int64 // ms of the exit that worst is about
}

// A sighting is one process and the GPUs that it was seen on.
type sighting struct {
	process *process
	gpus    []schemas.GPURef // sorted, each once
}

// holds folds what is observed into events. It reads no file and no clock.
type holds struct {
	node, boot string
	open       map[string]*hold // by group
	procs      map[key]*process // alive as far as is known
	before     int64            // ts of the observation before, 0 = none
	ended      []record         // not long ago, for a restart
}

func newHolds(node, boot string) *holds {
	return &holds{node: node, boot: boot, open: map[string]*hold{}, procs: map[key]*process{}}
}

// observe takes everything that is on the GPUs at ts. Newcomers come first, in
// the order of their starts, so that every GPU is held from its own process on.
func (h *holds) observe(ts int64, seen []sighting) (events []schemas.Allocation) {
	sighted := make(map[key]bool, len(seen))
	var fresh []newcomer
	for _, s := range seen {
		sighted[s.process.key] = true
		s.process.absent = 0
		if s.process.hold == nil {
			fresh = append(fresh, newcomer{s, h.since(s.process, ts)})
		}
	}
	events = h.welcome(events, fresh)
	changed := map[*hold]bool{}
	for _, s := range seen {
		if hold := s.process.hold; !slices.Equal(hold.on[s.process.key], s.gpus) {
			hold.on[s.process.key] = s.gpus
			changed[hold] = true
		}
	}
	for _, hold := range sortedHolds(changed) {
		events = hold.settle(events, ts)
	}
	events = h.miss(events, ts, sighted)
	h.before = ts
	h.ended = slices.DeleteFunc(h.ended, func(r record) bool { return r.End.TS < ts-repeated })
	return events
}

// A newcomer is a process that is in no hold, and since when it holds its GPUs.
type newcomer struct {
	sighting
	since int64
}

// since is when a newcomer that is seen at ts came to its GPUs.
func (h *holds) since(p *process, ts int64) int64 {
	at := min(p.born, ts)
	if h.before > 0 && p.born < h.before-settled || p.holds > 0 {
		at = max(at, min(h.before, ts))
	}
	return at
}

// welcome puts newcomers into the holds of their groups, or begins them. Those of
// one group and instant come together.
func (h *holds) welcome(events []schemas.Allocation, fresh []newcomer) []schemas.Allocation {
	slices.SortFunc(fresh, func(a, b newcomer) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.process.group, b.process.group),
			cmp.Compare(a.process.born, b.process.born), compareKeys(a.process.key, b.process.key))
	})
	for len(fresh) > 0 {
		first, n := fresh[0], 1
		for n < len(fresh) && fresh[n].since == first.since && fresh[n].process.group == first.process.group {
			n++
		}
		events = h.join(events, fresh[:n])
		fresh = fresh[n:]
	}
	return events
}

func (h *holds) join(events []schemas.Allocation, fresh []newcomer) []schemas.Allocation {
	first := fresh[0]
	hold, begins := h.open[first.process.group], false
	if hold == nil {
		hold, begins = h.begin(first.process, first.since), true
	}
	for _, n := range fresh {
		p := n.process
		p.hold = hold
		p.holds++
		h.procs[p.key] = p
		hold.on[p.key] = n.gpus
		if hold.grants && p.grants {
			hold.roots[p.root] = true
		}
	}
	if !begins {
		return hold.settle(events, first.since)
	}
	hold.gpus = hold.union()
	hold.start.GPUs = hold.gpus
	return append(events, hold.start)
}

func (h *holds) begin(p *process, at int64) *hold {
	hold := &hold{
		group: p.group, grants: p.grants, start: p.about,
		on: map[key][]schemas.GPURef{}, roots: map[key]bool{},
	}
	hold.start.TS, hold.start.Event, hold.start.HasGPUs = at, schemas.EventStart, true
	hold.start.Allocation = h.id(p)
	h.open[p.group] = hold
	return hold
}

// id of the hold that p begins: see the package.
func (h *holds) id(p *process) string {
	first := p.key
	if p.grants {
		first = p.root
	}
	id := strings.Join([]string{string(p.owner.Kind), h.node, p.owner.who(p.uid), h.boot}, "/") +
		"-" + strconv.FormatUint(first.Start, 10) + "-" + strconv.Itoa(first.PID)
	if p.holds > 0 && !p.grants {
		id += "-" + strconv.Itoa(p.holds+1)
	}
	return id
}

// settle says an update where the GPUs of the hold are not what was said last.
func (hold *hold) settle(events []schemas.Allocation, at int64) []schemas.Allocation {
	gpus := hold.union()
	if slices.Equal(gpus, hold.gpus) {
		return events
	}
	hold.gpus = gpus
	hold.update = &schemas.Allocation{
		TS: max(at, hold.newest()+1), Event: schemas.EventUpdate, Allocation: hold.start.Allocation,
		HasGPUs: true, GPUs: gpus, ReqGPUs: -1, ReqWalltime: -1,
	}
	return append(events, *hold.update)
}

// newest is the time of the last event of the hold.
func (hold *hold) newest() int64 {
	if hold.update != nil {
		return hold.update.TS
	}
	return hold.start.TS
}

// union is what the processes of a hold use; what was granted stays.
func (hold *hold) union() []schemas.GPURef {
	var all []schemas.GPURef
	if hold.grants {
		all = slices.Clone(hold.gpus)
	}
	for _, gpus := range hold.on {
		all = append(all, gpus...)
	}
	return sortedRefs(all)
}

// miss lets go of what lives but is no longer seen on a GPU.
func (h *holds) miss(events []schemas.Allocation, ts int64, sighted map[key]bool) []schemas.Allocation {
	for _, k := range slices.SortedFunc(maps.Keys(h.procs), compareKeys) {
		p := h.procs[k]
		switch {
		case sighted[k] || p.hold == nil:
		case p.absent == 0:
			p.absent = ts
		case ts-p.absent >= absence:
			hold := p.hold
			p.hold = nil
			delete(hold.on, k)
			events = h.left(events, hold, p.absent)
			p.absent = 0
		}
	}
	return events
}

// exit takes the end of a process on GPUs, or of a root.
func (h *holds) exit(k key, at int64, how outcome) (events []schemas.Allocation) {
	for _, group := range slices.Sorted(maps.Keys(h.open)) {
		hold := h.open[group]
		if _, on := hold.on[k]; !on && !hold.roots[k] {
			continue
		}
		delete(hold.on, k)
		delete(hold.roots, k)
		if how >= hold.worst || at-hold.when > together {
			hold.worst, hold.when = how, at
		}
		events = h.left(events, hold, at)
	}
	delete(h.procs, k)
	for _, p := range h.procs {
		if p.root == k { // it would keep the next hold open for ever
			p.root = p.key
		}
	}
	return events
}

// left says what is left of a hold after a process went: less, or its end.
func (h *holds) left(events []schemas.Allocation, hold *hold, at int64) []schemas.Allocation {
	if len(hold.on) > 0 || len(hold.roots) > 0 {
		return hold.settle(events, at)
	}
	delete(h.open, hold.group)
	state := stateCompleted
	if at-hold.when <= together {
		state = hold.worst.state()
	}
	end := schemas.Allocation{
		TS: max(at, hold.start.TS+1), Event: schemas.EventEnd, Allocation: hold.start.Allocation,
		ReqGPUs: -1, ReqWalltime: -1, State: state,
	}
	h.ended = append(h.ended, record{Group: hold.group, Start: hold.start, Update: hold.update, End: &end})
	return append(events, end)
}

// watched are the processes whose end matters: on GPUs, let go, and roots.
func (h *holds) watched() map[key]bool {
	all := make(map[key]bool, len(h.procs))
	for k := range h.procs {
		all[k] = true
	}
	for _, hold := range h.open {
		maps.Copy(all, hold.roots)
	}
	return all
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.PID, b.PID), cmp.Compare(a.Start, b.Start))
}

func sortedHolds(set map[*hold]bool) []*hold {
	return slices.SortedFunc(maps.Keys(set), func(a, b *hold) int { return cmp.Compare(a.group, b.group) })
}

// sortedRefs orders refs as events have them, each GPU or slice once.
func sortedRefs(refs []schemas.GPURef) []schemas.GPURef {
	slices.SortFunc(refs, func(a, b schemas.GPURef) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.GPU, b.GPU), cmp.Compare(a.Slice, b.Slice), cmp.Compare(b.Share, a.Share))
	})
	return slices.CompactFunc(refs, func(a, b schemas.GPURef) bool {
		return a.Node == b.Node && a.GPU == b.GPU && a.Slice == b.Slice
	})
}

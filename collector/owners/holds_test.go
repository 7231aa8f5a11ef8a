package owners

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// A world is a random machine: processes of a few owners come, move over GPUs,
// vanish from them and exit.
type world struct {
	now   int64
	next  int
	alive map[key]*process
}

func (w *world) spawn(t *rapid.T) {
	w.next++
	owners := []Owner{
		{Kind: User, UID: noUID},
		{Kind: Container, Container: "c1", UID: noUID},
		{Kind: Slurm, Job: "8", Step: "0", UID: noUID},
	}
	o := rapid.SampledFrom(owners).Draw(t, "owner")
	k := key{PID: w.next, Start: uint64(w.now/tick) + uint64(w.next)}
	p := &process{key: k, owner: o, root: k, born: w.now - rapid.Int64Range(0, 2*settled).Draw(t, "age"), grants: o.Kind == Slurm}
	p.group = o.group(0)
	for _, of := range w.alive { // of one step there is one daemon, which outlives them
		if of.group == p.group && p.grants {
			p.root = of.root
		}
	}
	w.alive[k] = p
}

func (w *world) pick(t *rapid.T) *process {
	if len(w.alive) == 0 {
		return nil
	}
	keys := slices.SortedFunc(maps.Keys(w.alive), compareKeys)
	return w.alive[rapid.SampledFrom(keys).Draw(t, "process")]
}

// exit of a process: who is seen first after it has another root.
func (w *world) exit(p *process) {
	delete(w.alive, p.key)
	for _, other := range w.alive {
		if other.root == p.key && other.holds == 0 {
			other.root = other.key
		}
	}
}

// sightings draws what the driver shows.
func (w *world) sightings(t *rapid.T) (seen []sighting) {
	for _, k := range slices.SortedFunc(maps.Keys(w.alive), compareKeys) {
		var refs []schemas.GPURef
		for _, gpu := range rapid.SliceOfN(rapid.SampledFrom([]string{"A", "B", "C"}), 0, 2).Draw(t, "gpus") {
			refs = append(refs, schemas.GPURef{Node: "n1", GPU: gpu})
		}
		if len(refs) > 0 {
			seen = append(seen, sighting{w.alive[k], sortedRefs(refs)})
		}
	}
	return seen
}

// A listener holds events to what readers rely on.
type listener struct {
	last  map[string]int64 // newest event of each
	begun map[string]int64
	gpus  map[string][]schemas.GPURef
	over  map[string]bool
}

func newListener() *listener {
	return &listener{map[string]int64{}, map[string]int64{}, map[string][]schemas.GPURef{}, map[string]bool{}}
}

func (j *listener) events(t *rapid.T, now int64, events []schemas.Allocation) {
	for _, e := range events {
		id := e.Allocation
		switch {
		case e.TS > now+int64(len(events)): // updates of one instant come a millisecond apart
			t.Fatalf("said at %d: %+v", now, e)
		case j.over[id]:
			t.Fatalf("an id that ended comes again: %+v", e)
		case e.Event == schemas.EventStart && j.begun[id] != 0, e.Event != schemas.EventStart && j.begun[id] == 0:
			t.Fatalf("starts and others must alternate: %+v", e)
		case e.HasGPUs && !slices.Equal(e.GPUs, sortedRefs(slices.Clone(e.GPUs))):
			t.Fatalf("gpus are not in order: %+v", e)
		}
		switch e.Event {
		case schemas.EventStart:
			j.begun[id], j.last[id], j.gpus[id] = e.TS, e.TS, e.GPUs
		case schemas.EventUpdate:
			if e.TS <= j.last[id] || slices.Equal(e.GPUs, j.gpus[id]) {
				t.Fatalf("an update that says nothing or comes too early: %+v", e)
			}
			j.last[id], j.gpus[id] = e.TS, e.GPUs
		case schemas.EventEnd:
			if e.TS <= j.begun[id] || e.State == "" {
				t.Fatalf("end %+v of a hold from %d", e, j.begun[id])
			}
			j.over[id] = true
			delete(j.gpus, id)
		}
	}
}

// agree compares what was said of the open allocations with what the holds know.
func (j *listener) agree(t *rapid.T, h *holds) {
	open := map[string][]schemas.GPURef{}
	for _, hold := range h.open {
		open[hold.start.Allocation] = hold.union()
	}
	if fmt.Sprint(open) != fmt.Sprint(j.gpus) {
		t.Fatalf("said\n%v\nheld\n%v", j.gpus, open)
	}
}

// Whatever processes do, the events of an allocation are one start, updates that
// go forward and change something, one end, and never more of that id; and a
// restart in between changes nothing of it.
func TestHoldsAnswerForEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{now: booted, alive: map[key]*process{}}
		h, j := newHolds("n1", "3f2a9c01"), newListener()
		for range rapid.IntRange(1, 40).Draw(t, "turns") {
			w.now += rapid.SampledFrom([]int64{0, 1, 1000, 10_000, absence, settled}).Draw(t, "pause")
			switch rapid.SampledFrom([]string{"spawn", "observe", "observe", "exit", "restart"}).Draw(t, "turn") {
			case "spawn":
				w.spawn(t)
			case "observe":
				w.now += 1000
				j.events(t, w.now, h.observe(w.now, w.sightings(t)))
			case "exit":
				if p := w.pick(t); p != nil {
					w.now++ // no exit within the millisecond of the start
					w.exit(p)
					j.events(t, w.now, h.exit(p.key, w.now, completed))
				}
			case "restart":
				h = restarted(t, h, w)
			}
			j.agree(t, h)
		}
	})
}

// restarted gives the holds that a new tracker takes up from the state file.
func restarted(t *rapid.T, h *holds, w *world) *holds {
	text, err := json.Marshal(h.journal(w.now))
	if err != nil {
		t.Fatal(err)
	}
	var known journal
	if err := json.Unmarshal(text, &known); err != nil {
		t.Fatal(err)
	}
	fresh := newHolds(h.node, h.boot)
	fresh.before = h.before
	for _, r := range known.Open {
		fresh.restore(r, func(n pidNote, _ record) *process { return w.alive[n.key] })
	}
	for _, n := range known.Loose {
		fresh.procs[n.key] = w.alive[n.key]
	}
	return fresh
}

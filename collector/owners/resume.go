package owners

import (
	"errors"
	"maps"
	"slices"

	"github.com/gpumeter/gpumeter/schemas"
)

// resume takes up, at the first observation, what the state file knows. All of it
// is said again: what the agent before handed over may have been lost with it.
// What has gone meanwhile ended when it was last seen.
func (t *Tracker) resume() error {
	j := t.saved
	t.saved = journal{}
	if j.Node == "" {
		return nil
	}
	var err error
	for _, r := range j.Ended {
		t.holds.ended = append(t.holds.ended, r)
		err = errors.Join(err, t.emit(r.events()))
	}
	for _, r := range j.Open {
		err = errors.Join(err, t.emit(r.events()))
		t.holds.restore(r, t.restored)
	}
	for _, n := range j.Loose {
		p := t.restored(n, record{})
		t.holds.procs[p.key] = p
	}
	t.holds.before = j.Seen
	for _, k := range slices.SortedFunc(maps.Keys(t.holds.watched()), compareKeys) {
		alive, exit := false, 0
		if j.Boot == t.holds.boot {
			alive, exit = t.read.proc.lives(k)
		}
		if !alive {
			err = errors.Join(err, t.gone(k, j.Seen, outcomeOf(exit)))
		}
	}
	return err
}

// restored finds the process of a note again; of one that is gone or cannot be
// read any more the note has enough to end it.
func (t *Tracker) restored(n pidNote, of record) *process {
	p, err := t.read.identify(n.PID)
	if err != nil || p.key != n.key || p.ignored {
		return &process{key: n.key, born: n.Born, holds: n.Holds, group: of.Group}
	}
	p.born, p.holds = n.Born, n.Holds
	t.byPID[n.PID] = p
	return p
}

// restore opens a hold as it was recorded.
func (h *holds) restore(r record, process func(pidNote, record) *process) {
	hold := &hold{
		group: r.Group, grants: r.Grants, start: r.Start, update: r.Update, gpus: r.Start.GPUs,
		on: map[key][]schemas.GPURef{}, roots: map[key]bool{},
	}
	if r.Update != nil {
		hold.gpus = r.Update.GPUs
	}
	for _, k := range r.Roots {
		hold.roots[k] = true
	}
	for _, n := range r.Processes {
		p := process(n, r)
		p.hold = hold
		hold.on[n.key] = n.GPUs
		h.procs[n.key] = p
	}
	h.open[r.Group] = hold
}

// record notes the hold for a restart.
func (hold *hold) record(procs map[key]*process) record {
	r := record{Group: hold.group, Grants: hold.grants, Start: hold.start, Update: hold.update}
	for _, k := range slices.SortedFunc(maps.Keys(hold.on), compareKeys) {
		if p := procs[k]; p != nil {
			r.Processes = append(r.Processes, pidNote{key: k, Born: p.born, Holds: p.holds, GPUs: hold.on[k]})
		}
	}
	r.Roots = slices.SortedFunc(maps.Keys(hold.roots), compareKeys)
	return r
}

// journal notes everything for a restart; seen is the newest observation.
func (h *holds) journal(seen int64) journal {
	j := journal{Node: h.node, Boot: h.boot, Seen: seen, Ended: h.ended}
	for _, group := range slices.Sorted(maps.Keys(h.open)) {
		j.Open = append(j.Open, h.open[group].record(h.procs))
	}
	for _, k := range slices.SortedFunc(maps.Keys(h.procs), compareKeys) {
		if p := h.procs[k]; p.hold == nil {
			j.Loose = append(j.Loose, pidNote{key: k, Born: p.born, Holds: p.holds})
		}
	}
	return j
}

// save writes the state where something was said since, or a while has passed.
func (t *Tracker) save(ts int64) {
	t.seen = ts
	if t.path == "" || !t.dirty && ts < t.written+heartbeat {
		return
	}
	if err := t.holds.journal(ts).write(t.path); err != nil {
		t.count.stateFails.Add(1)
		return
	}
	t.dirty, t.written = false, ts
}

package owners

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
)

// A Held says that a process uses a GPU or slice.
type Held struct {
	GPU   string
	Slice string // MIG instance, empty for the whole device
	Share int32  // of the device in ppm; a slice must give it, 0 = not given
	PID   int    // in the pid namespace of Config.Proc
}

// A Tracker knows the allocations of a node. Its methods may be called from
// several goroutines.
type Tracker struct {
	read *reader
	path string // of the state file, empty = none
	now  func() time.Time

	mu      sync.Mutex
	holds   *holds
	byPID   map[int]*process
	watches map[key]func() // ends the watch; nil: the process is looked at
	last    map[int]string // allocations of pids that went since the last observation
	to      source.Sink    // of the newest observation
	failed  error          // what a sink said to an end, for the next observation
	count   counts
	closed  bool
	running sync.WaitGroup // watches

	saved   journal // what the state file knew, until the first observation
	seen    int64   // ts of the newest observation
	dirty   bool    // something was said since the state was written
	written int64   // ts of the observation at which it was
}

// New makes a tracker of node. It reads the state file, if there is one; one that
// cannot be read is counted and replaced.
func New(cfg Config, node string) (*Tracker, error) {
	return newTracker(cfg, node, exactBoot)
}

func newTracker(cfg Config, node string, exact func() (int64, bool)) (*Tracker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if node == "" {
		return nil, errors.New("owners: no name of the node is given")
	}
	proc := procfs{dir: cfg.Proc}
	btime, ok := proc.btime()
	if !ok {
		return nil, fmt.Errorf("owners.proc: %s/stat gives no btime: is /proc of the node mounted there?", cfg.Proc)
	}
	t := &Tracker{
		read: &reader{
			proc: proc, names: newNames(), rules: labelRules(cfg.Labels), node: node, ignore: map[string]bool{},
			clock: &bootClock{btime: btime, exact: exact, again: proc.btime},
		},
		path: cfg.State, now: time.Now, last: map[int]string{},
		holds: newHolds(node, proc.boot()), byPID: map[int]*process{}, watches: map[key]func(){},
	}
	t.read.wanted = wanted(t.read.rules)
	for _, program := range cfg.Ignore {
		t.read.ignore[program] = true
	}
	if cfg.State == "" {
		return t, nil
	}
	if err := checkDir(cfg.State); err != nil {
		return nil, err
	}
	known, err := readJournal(cfg.State)
	if err != nil {
		t.count.stateLost.Add(1)
	}
	if known.Node == node {
		t.saved = known
	}
	return t, nil
}

// Observe is told every process on every GPU of the node at ts (Unix ms), those
// of a GPU that does not answer as they were last. It hands the start, update and
// end events of allocations whose processes came, moved or went to to, and
// returns the allocation of each pid; a pid that it does not have is unknown. to
// is kept for ends that are seen before the next observation. Calls must come in
// the order of ts.
func (t *Tracker) Observe(ts int64, held []Held, to source.Sink) (map[int]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.to = to
	err := t.failed
	t.failed = nil
	err = errors.Join(err, t.resume(), t.look(ts))
	seen := t.sight(held)
	err = errors.Join(err, t.emit(t.holds.observe(ts, seen)))
	t.follow()
	t.save(ts)

	allocation := t.last // the driver may still list what has just gone
	t.last = map[int]string{}
	for _, s := range seen {
		allocation[s.process.PID] = s.process.hold.start.Allocation
	}
	return allocation, err
}

// look finds the processes that have gone among those that are not watched.
func (t *Tracker) look(ts int64) error {
	var err error
	for _, k := range slices.SortedFunc(maps.Keys(t.watches), compareKeys) {
		if t.watches[k] != nil {
			continue
		}
		if alive, exit := t.read.proc.lives(k); !alive {
			err = errors.Join(err, t.gone(k, ts, outcomeOf(exit)))
		}
	}
	return err
}

// sight identifies who is on the GPUs; of a process that cannot be identified
// nothing is said.
func (t *Tracker) sight(held []Held) []sighting {
	var seen []sighting
	at := map[int]int{} // of each pid: index in seen, -1 = nobody
	for _, h := range held {
		i, known := at[h.PID]
		if !known {
			i = -1
			switch p, err := t.process(h.PID); {
			case errors.Is(err, errGone):
				t.count.gone.Add(1)
			case err != nil:
				t.count.unreadable.Add(1)
			case p.ignored:
				t.count.ignored.Add(1)
			default:
				i = len(seen)
				seen = append(seen, sighting{process: p})
			}
			at[h.PID] = i
		}
		if i >= 0 {
			ref := schemas.GPURef{Node: t.holds.node, GPU: h.GPU, Slice: h.Slice, Share: h.Share}
			seen[i].gpus = append(seen[i].gpus, ref)
		}
	}
	for i := range seen {
		seen[i].gpus = sortedRefs(seen[i].gpus)
	}
	return seen
}

// process gives the process that has pid: one that is known and still lives costs
// nothing to find.
func (t *Tracker) process(pid int) (*process, error) {
	known := t.byPID[pid]
	if known != nil && !known.ignored {
		return known, nil
	}
	if known != nil { // nobody watches it
		if alive, _ := t.read.proc.lives(known.key); alive {
			return known, nil
		}
		delete(t.byPID, pid)
	}
	p, err := t.read.identify(pid)
	if err != nil {
		return nil, err
	}
	t.byPID[pid] = p
	return p, nil
}

// follow watches those whose end matters, and nobody else.
func (t *Tracker) follow() {
	matters := t.holds.watched()
	for k := range matters {
		if _, known := t.watches[k]; !known {
			t.watch(k)
		}
	}
	for k, stop := range t.watches {
		if !matters[k] {
			if stop != nil {
				stop()
			}
			delete(t.watches, k)
		}
	}
}

// watch begins to watch k; where that cannot be done k is looked at. A pid names
// the right process in the /proc of this machine only, and only if k still has it
// once the watch has begun.
func (t *Tracker) watch(k key) {
	t.watches[k] = nil
	if t.read.proc.dir == DefaultConfig().Proc {
		t.running.Add(1)
		stop, err := watch(k.PID, func(err error) {
			defer t.running.Done()
			t.ended(k, err)
		})
		if err == nil {
			if alive, _ := t.read.proc.lives(k); alive {
				t.watches[k] = stop
				return
			}
			stop()
		} else {
			t.running.Done()
		}
	}
	t.count.polled.Add(1)
}

// ended is called by the watch of k: with nil when it exited, os.ErrClosed when
// the watch was stopped, else when it cannot be watched.
func (t *Tracker) ended(k key, err error) {
	if errors.Is(err, os.ErrClosed) {
		return
	}
	at := t.now().UnixMilli()
	_, exit := t.read.proc.lives(k) // before its parent waits for it
	t.mu.Lock()
	defer t.mu.Unlock()
	if stop := t.watches[k]; stop == nil || t.closed {
		return
	}
	if err != nil {
		t.watches[k] = nil
		t.count.polled.Add(1)
		return
	}
	t.failed = errors.Join(t.failed, t.gone(k, at, outcomeOf(exit)))
}

// gone takes the end of a process.
func (t *Tracker) gone(k key, at int64, how outcome) error {
	if stop := t.watches[k]; stop != nil {
		stop()
	}
	delete(t.watches, k)
	if p := t.byPID[k.PID]; p != nil && p.key == k {
		delete(t.byPID, k.PID)
		if p.hold != nil {
			t.last[k.PID] = p.hold.start.Allocation
		}
	}
	return t.emit(t.holds.exit(k, at, how))
}

// emit hands events to the sink.
func (t *Tracker) emit(events []schemas.Allocation) error {
	var err error
	for _, e := range events {
		t.dirty = true
		err = errors.Join(err, t.to.Allocation(e))
	}
	return err
}

// Close ends the watches and writes the state. It emits nothing: what still runs
// when the agent stops still runs.
func (t *Tracker) Close() error {
	t.mu.Lock()
	t.closed = true
	for k, stop := range t.watches {
		if stop != nil {
			stop()
		}
		delete(t.watches, k)
	}
	var err error
	if t.path != "" && t.seen > 0 {
		err = t.holds.journal(t.seen).write(t.path)
	}
	t.mu.Unlock()
	t.running.Wait()
	return err
}

func sortedLabels(labels []schemas.Label) []schemas.Label {
	slices.SortFunc(labels, func(a, b schemas.Label) int { return cmp.Compare(a.Key, b.Key) })
	return labels
}

//go:build synctests

package simulation

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// What comes at a random second rarely hits the one in which a process has done half
// of what must be done whole, and what is lost there is mostly said again by the next
// revision. The incidents here wait for that second, at a time when late events come
// (see plant.later), whose revisions are the last of their cells.

// aimPatience is how long an incident waits for its second.
const aimPatience = 10 * time.Minute

// spring waits for who has run into a trap; empty if nobody did.
func spring(sprung <-chan string) (name string) {
	select {
	case name = <-sprung:
	case <-time.After(aimPatience):
	}
	return name
}

// post is that of a name.
func (w *world) post(name string) *post {
	return w.posts[slices.IndexFunc(w.posts, func(p *post) bool { return p.name == name })]
}

// A trap ends a sink in an insert of cells that are final: before the store has them,
// or when only the acknowledgement is missing.
type trap struct {
	stored bool
	sprung chan string
}

// final reports whether cells to insert are ones that nobody need publish again.
func final(table string, input proto.Input) bool {
	if table != clickhouse.TableCells {
		return false
	}
	b, err := decode(input)
	return err == nil && slices.ContainsFunc(b.columns["finality"].numbers, func(v int64) bool { return v != 0 })
}

// perish ends the sink if there is a trap for it: from now on it reaches nobody.
func (s session) perish(stored bool) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	n := slices.IndexFunc(s.store.traps, func(t *trap) bool { return t.stored == stored })
	if n < 0 {
		return
	}
	s.cable.pull()
	s.store.traps[n].sprung <- s.name
	s.store.traps = slices.Delete(s.store.traps, n, n+1)
}

func (s *store) trapped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.traps) > 0
}

func (w *world) killInserting(d *rand.Rand) {
	t := &trap{stored: d.IntN(3) == 0, sprung: make(chan string, 1)}
	w.store.mu.Lock()
	w.store.traps = append(w.store.traps, t)
	w.store.mu.Unlock()
	name := spring(t.sprung)
	if name == "" {
		w.store.mu.Lock()
		w.store.traps = slices.DeleteFunc(w.store.traps, func(o *trap) bool { return o == t })
		w.store.mu.Unlock()
		return
	}
	w.log.Info("struck", "process", name, "stored", t.stored)
	w.post(name).kill()
	time.Sleep(upTo(d, 0, time.Minute))
	w.post(name).start()
}

// A witness sees how processors end their transactions.
type witness struct {
	window, grace int64 // ms

	mu     sync.Mutex
	closed map[int32]int64            // by partition: windows that end before this instant are final, as committed
	ending map[string]map[int32]int64 // by transactional id: what its transaction would make of that
	alarms []*alarm
}

// An alarm tells who sends a request of some kind in a transaction.
type alarm struct {
	key   kmsg.Key
	names map[string]string // of processors, by transactional id
	skip  int               // requests to let pass
	rung  chan string
}

func newWitness(grace time.Duration) *witness {
	return &witness{window: processor.DefaultConfig().Rules.Window.Milliseconds(), grace: grace.Milliseconds(), closed: map[int32]int64{}, ending: map[string]map[int32]int64{}}
}

// watch lets the witness see the requests. It answers none.
func (w *world) watch() {
	for _, key := range []kmsg.Key{kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		w.fake.ControlKey(int16(key), func(req kmsg.Request) (kmsg.Response, error, bool) {
			w.fake.KeepControl()
			w.witness.see(req)
			return nil, nil, false
		})
	}
}

func (v *witness) see(req kmsg.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch r := req.(type) {
	case *kmsg.TxnOffsetCommitRequest:
		v.ending[r.TransactionalID] = v.closes(r)
		v.ring(kmsg.TxnOffsetCommit, r.TransactionalID)
	case *kmsg.EndTxnRequest:
		if r.Commit {
			maps.Copy(v.closed, v.ending[r.TransactionalID])
			v.ring(kmsg.EndTxn, r.TransactionalID)
		}
	}
}

// closes reads from the positions of a commit which windows are final with it.
func (v *witness) closes(r *kmsg.TxnOffsetCommitRequest) map[int32]int64 {
	ends := map[int32]int64{}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if t.Topic != schemas.Prefix+schemas.StreamSamples || p.Metadata == nil {
				continue
			}
			if position, err := meter.ParsePosition(*p.Metadata); err == nil {
				ends[p.Partition] = (position.Horizon - v.grace) / v.window * v.window
			}
		}
	}
	return ends
}

func (v *witness) ring(key kmsg.Key, id string) {
	for n, a := range v.alarms {
		name, ok := a.names[id]
		if !ok || a.key != key {
			continue
		}
		if a.skip--; a.skip < 0 {
			a.rung <- name
			v.alarms = slices.Delete(v.alarms, n, n+1)
			return
		}
	}
}

// closing reports whether the transaction that is ending makes windows final.
func (v *witness) closing(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for n, end := range v.ending[id] {
		if end > v.closed[n] {
			return true
		}
	}
	return false
}

// killCommitting lets a processor die when the brokers know the offsets of a
// transaction but not that it ends, or when they know that and it does not. Half of
// the successors are refused their first commits.
func (w *world) killCommitting(d *rand.Rand) {
	group, skip := processor.DefaultConfig().Group, 8
	if d.IntN(4) == 0 {
		group, skip = processor.DefaultDetect().Group, 3
	}
	a := &alarm{
		key: []kmsg.Key{kmsg.TxnOffsetCommit, kmsg.EndTxn}[d.IntN(2)], names: w.transactions(group), skip: d.IntN(skip),
		rung: make(chan string, 1),
	}
	w.witness.mu.Lock()
	w.witness.alarms = append(w.witness.alarms, a)
	w.witness.mu.Unlock()
	name := spring(a.rung)
	if name == "" {
		w.witness.mu.Lock()
		w.witness.alarms = slices.DeleteFunc(w.witness.alarms, func(o *alarm) bool { return o == a })
		w.witness.mu.Unlock()
		return
	}
	w.log.Info("struck", "process", name, "group", group, "request", a.key.Name())
	w.post(name).kill()
	refused := d.IntN(2) == 0
	time.Sleep(upTo(d, 0, time.Minute))
	w.post(name).start()
	if !refused {
		return
	}
	h := w.fake.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, TxnID: group + "-" + name, Err: kerr.IllegalGeneration, Count: 1 + d.IntN(3),
	})
	time.Sleep(time.Minute)
	h.Remove()
}

// transactions gives the names of processors by their transactional ids in a group.
func (w *world) transactions(group string) map[string]string {
	names := map[string]string{}
	for _, p := range w.posts {
		if p.kind() == "processor" {
			names[group+"-"+p.name] = p.name
		}
	}
	return names
}

// refuseFinal refuses commits with which windows become final: whoever keeps what it
// has computed for them says it never.
func (w *world) refuseFinal(d *rand.Rand) {
	h := w.fake.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Group: processor.DefaultConfig().Group, Err: kerr.IllegalGeneration, Count: 1 + d.IntN(4),
		When: func(req kmsg.Request) bool {
			r, ok := req.(*kmsg.TxnOffsetCommitRequest)
			return ok && w.witness.closing(r.TransactionalID)
		},
	})
	time.Sleep(upTo(d, time.Minute, 3*time.Minute))
	h.Remove()
}

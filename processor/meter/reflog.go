package meter

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A refLog is the tail of the reference topics: what the engines of this process
// have not all been given yet, decoded once for all of them and kept in order. What
// lies before it is history, which a fresh engine is fed from the topics themselves
// (see rereadRefs). So the log does not grow with history, nor, since it reads no
// further while it is full, with a backlog. One goroutine appends; the engines read
// from where they are, and what all of them have is dropped.
type refLog struct {
	client *kgo.Client
	guard  *quarantine.Guard
	stats  *Stats
	room   int64 // when it holds this much it is full
	stop   context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	from    Refs // what lies below is not here
	topics  [refCount]refTail
	held    int64 // weight of all entries
	pulse   tick  // the newest tick that names no horizon
	named   []tick
	failure error         // what has ended the reading
	dropped chan struct{} // there may be room again
}

// A refTail is one reference topic from where the log begins to where it was read.
type refTail struct {
	entries []entry // appended to, and cut off in front: a copy of the slice stays valid
	next    int64   // offset of the next record
	time    int64   // append time of the last record, Unix ms
}

// An entry is one record of a reference topic: rows of its stream, and what is
// wrong with the record.
type entry struct {
	offset  int64
	time    int64 // greatest append time up to here, Unix ms
	weight  int64 // about the bytes that it takes
	read    int   // rows of the record, refused ones among them
	rows    any   // []schemas.Allocation, []schemas.Resource, []schemas.Price or []schemas.Tag
	letters []schemas.DeadLetter
}

// A tick is one record of the ticks topic.
type tick struct {
	offset  int64
	time    int64 // append time, Unix ms
	horizon int64 // the horizon that it names, 0 = none
	final   bool
}

// A view is the log at one instant. Nothing in it changes.
type view struct {
	topics [refCount]refTail
	pulse  tick
	named  []tick // the ticks that name a horizon or end a replay, in order
}

// namedFrom is the number of named ticks below an offset.
func (v *view) namedFrom(offset int64) int {
	n, _ := slices.BinarySearchFunc(v.named, offset, func(t tick, offset int64) int { return cmp.Compare(t.offset, offset) })
	return n
}

const (
	logRoom    = 32 << 20 // of a log, where memory has no limit
	logRecords = 500      // taken in at once
	rowWeight  = 512      // of a decoded row without its texts
)

// openRefLog begins to read the reference topics at from.
func openRefLog(opts []kgo.Opt, from Refs, room int64, guard *quarantine.Guard, stats *Stats) (*refLog, error) {
	client, err := kgo.NewClient(append(opts, kgo.ConsumePartitions(fromRefs(from)))...)
	if err != nil {
		return nil, fmt.Errorf("making the client of the reference topics: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	l := newRefLog(from, room, guard, stats)
	l.client, l.stop = client, stop
	go func() {
		defer close(l.ended)
		err := l.read(ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.failure = err
	}()
	return l, nil
}

func newRefLog(from Refs, room int64, guard *quarantine.Guard, stats *Stats) *refLog {
	l := &refLog{
		stats: stats, guard: guard, room: room, from: from, pulse: tick{offset: -1},
		ended: make(chan struct{}), dropped: make(chan struct{}, 1),
	}
	for i := range l.topics {
		l.topics[i].next = from[i]
	}
	return l
}

// close ends the reading.
func (l *refLog) close() {
	l.stop()
	<-l.ended
	l.client.Close()
}

// view shows what there is, or why there will be nothing more.
func (l *refLog) view() (view, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return view{topics: l.topics, pulse: l.pulse, named: l.named}, l.failure
}

// has reports whether everything from refs on is, or will be, here.
func (l *refLog) has(refs Refs) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.from.below(refs)
}

// drop forgets what lies below refs: all engines have it. (Named ticks stay. There is
// one for each replay.)
func (l *refLog) drop(refs Refs) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.topics {
		t := &l.topics[i]
		n := t.search(refs[i])
		for _, e := range t.entries[:n] {
			l.held -= e.weight
		}
		if t.entries = t.entries[n:]; n > 0 {
			t.entries = slices.Clone(t.entries) // lets what was dropped go
		}
		l.from[i] = max(l.from[i], min(refs[i], t.next))
	}
	select {
	case l.dropped <- struct{}{}:
	default:
	}
}

// search is the number of entries below an offset.
func (t *refTail) search(offset int64) int {
	n, _ := slices.BinarySearchFunc(t.entries, offset, func(e entry, offset int64) int { return cmp.Compare(e.offset, offset) })
	return n
}

func (l *refLog) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held >= l.room
}

// read appends what the client fetches until ctx ends. An error that a retry inside
// the client does not cure ends it.
func (l *refLog) read(ctx context.Context) error {
	for ctx.Err() == nil {
		if l.full() {
			select {
			case <-l.dropped:
			case <-ctx.Done():
			}
			continue
		}
		fetches := l.client.PollRecords(ctx, logRecords)
		if err := member.FetchError(fetches); err != nil {
			return err
		}
		l.add(fetches)
	}
	return nil
}

func (l *refLog) add(fetches kgo.Fetches) {
	type decoded struct {
		ref   int
		rec   *kgo.Record
		entry entry
		ticks []tick
	}
	var batch []decoded
	fetches.EachRecord(func(rec *kgo.Record) { // outside the lock: the loop must not wait for a decoder
		d := decoded{ref: refOf(rec.Topic), rec: rec}
		if !rec.Attrs.IsControl() && !l.guard.PassesOver(rec) {
			l.guard.Reading(rec)
			d.entry, d.ticks = decodeRef(d.ref, rec)
		}
		batch = append(batch, d)
	})
	l.guard.Rest()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range batch {
		t := &l.topics[d.ref]
		t.next, t.time = d.rec.Offset+1, max(t.time, d.rec.Timestamp.UnixMilli())
		if d.entry.rows != nil || d.entry.letters != nil {
			d.entry.time = t.time
			t.entries = append(t.entries, d.entry)
			l.held += d.entry.weight
		}
		if d.ref != refTicks {
			l.stats.rows(d.rec.Topic).Add(int64(d.entry.read))
		}
		l.addTicks(d.ticks)
	}
}

func (l *refLog) addTicks(ticks []tick) {
	for _, t := range ticks {
		if t.horizon != 0 || t.final {
			l.named = append(l.named, t)
		} else {
			l.pulse = t
		}
	}
}

// decodeRef turns a record into an entry, or into ticks, which are not kept one
// by one: there are five a second for ever.
func decodeRef(ref int, rec *kgo.Record) (entry, []tick) {
	e := entry{offset: rec.Offset}
	var err error
	var ticks []tick
	switch ref {
	case refAllocations:
		err = decodeAllocations(&e, rec)
	case refResources:
		err = decodeRows[schemas.Resource](&e, rec)
	case refPrices:
		err = decodeRows[schemas.Price](&e, rec)
	case refTags:
		err = decodeRows[schemas.Tag](&e, rec)
	case refTicks:
		ticks, err = decodeTicks(rec)
	}
	if err != nil {
		e.rows, e.letters = nil, []schemas.DeadLetter{corrupt(rec, err)}
	}
	e.weight = int64(len(rec.Value)) + rowWeight*int64(e.read+len(e.letters))
	return e, ticks
}

func decodeRows[T wire.Row](e *entry, rec *kgo.Record) error {
	rows, err := wire.Decode[T](nil, rec)
	e.rows, e.read = rows, len(rows)
	return err
}

func decodeAllocations(e *entry, rec *kgo.Record) error {
	rows, err := wire.Decode[schemas.Allocation](nil, rec)
	if err != nil {
		return err
	}
	e.read = len(rows)
	kept, refused, first := cutRows(rows, rec.Timestamp.UnixMilli(), func(a *schemas.Allocation) int64 { return a.TS })
	if refused > 0 {
		e.letters = append(e.letters, badTime(rec, refused, first))
	}
	e.rows = kept
	return nil
}

func decodeTicks(rec *kgo.Record) ([]tick, error) {
	rows, err := wire.Decode[schemas.Tick](nil, rec)
	if err != nil {
		return nil, err
	}
	ticks := make([]tick, 0, len(rows))
	for _, r := range rows {
		ticks = append(ticks, tick{offset: rec.Offset, time: rec.Timestamp.UnixMilli(), horizon: r.Horizon, final: r.Final})
	}
	return ticks, nil
}

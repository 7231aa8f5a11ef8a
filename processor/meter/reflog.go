package meter

import (
	"context"
	"errors"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A refLog is the reference topics, decoded once and kept in order. One
// goroutine appends; engines read it from where they are.
type refLog struct {
	stats *Stats
	guard *quarantine.Guard

	mu     sync.Mutex
	topics [refCount]refTail
	pulse  tick          // the newest tick that names no horizon
	named  []tick        // the ticks that name a horizon or end a replay, in order
	grown  chan struct{} // closed, and replaced, whenever the log grows
}

// A refTail is one reference topic as far as it was read.
type refTail struct {
	entries []entry // only appended to: a copy of the slice stays valid
	next    int64   // offset of the next record
	time    int64   // append time of the last record, Unix ms
}

// An entry is one record of a reference topic: rows of its stream, and what is
// wrong with the record.
type entry struct {
	offset  int64
	time    int64 // greatest append time up to here, Unix ms
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
	named  []tick
}

func newRefLog(starts Refs, stats *Stats) *refLog {
	l := &refLog{stats: stats, grown: make(chan struct{}), pulse: tick{offset: -1}}
	for i := range l.topics {
		l.topics[i].next = starts[i]
	}
	return l
}

func (l *refLog) view() view {
	l.mu.Lock()
	defer l.mu.Unlock()
	return view{topics: l.topics, pulse: l.pulse, named: l.named}
}

// wait returns as soon as the log has everything below refs.
func (l *refLog) wait(ctx context.Context, refs Refs) error {
	for {
		l.mu.Lock()
		var next Refs
		for i := range l.topics {
			next[i] = l.topics[i].next
		}
		grown := l.grown
		l.mu.Unlock()
		if refs.below(next) {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// read appends what cl fetches until ctx ends. An error that a retry inside the
// client does not cure ends it.
func (l *refLog) read(ctx context.Context, cl *kgo.Client) error {
	byTopic := make(map[string]int, refCount)
	for i := range refCount {
		byTopic[refTopic(i)] = i
	}
	for {
		fetches := cl.PollFetches(ctx)
		if fetches.IsClientClosed() || errors.Is(fetches.Err0(), context.Canceled) {
			return nil
		}
		if err := member.FetchError(fetches); err != nil {
			return err
		}
		l.add(fetches, byTopic)
	}
}

func (l *refLog) add(fetches kgo.Fetches, byTopic map[string]int) {
	type decoded struct {
		ref   int
		rec   *kgo.Record
		entry entry
		ticks []tick
	}
	var batch []decoded
	fetches.EachRecord(func(rec *kgo.Record) { // outside the lock: the loop must not wait for a decoder
		d := decoded{ref: byTopic[rec.Topic], rec: rec}
		d.entry.offset = rec.Offset
		if !rec.Attrs.IsControl() && !l.guard.PassesOver(rec) {
			l.guard.Reading(rec)
			d.entry, d.ticks = decodeRef(d.ref, rec, l.stats)
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
		}
		l.addTicks(d.ticks)
	}
	close(l.grown)
	l.grown = make(chan struct{})
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
// by one: there is one a second for ever.
func decodeRef(ref int, rec *kgo.Record, stats *Stats) (entry, []tick) {
	e := entry{offset: rec.Offset}
	var err error
	var ticks []tick
	switch ref {
	case refAllocations:
		err = decodeAllocations(&e, rec, stats)
	case refResources:
		e.rows, err = decodeRows[schemas.Resource](rec, stats)
	case refPrices:
		e.rows, err = decodeRows[schemas.Price](rec, stats)
	case refTags:
		e.rows, err = decodeRows[schemas.Tag](rec, stats)
	case refTicks:
		ticks, err = decodeTicks(rec)
	}
	if err != nil {
		e.rows, e.letters = nil, []schemas.DeadLetter{corrupt(rec, err)}
	}
	return e, ticks
}

func decodeRows[T wire.Row](rec *kgo.Record, stats *Stats) (any, error) {
	rows, err := wire.Decode[T](nil, rec)
	stats.rows(rec.Topic).Add(int64(len(rows)))
	return rows, err
}

func decodeAllocations(e *entry, rec *kgo.Record, stats *Stats) error {
	rows, err := wire.Decode[schemas.Allocation](nil, rec)
	if err != nil {
		return err
	}
	stats.rows(rec.Topic).Add(int64(len(rows)))
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

package meter

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A state is what the group has committed for one samples partition. The zero
// offset is an offset; a partition without commit has offset -1.
type state struct {
	offset   int64 // of the next samples record
	known    bool  // the metadata held a position
	position Position
}

// A partition is an owned partition of samples with its engine.
type partition struct {
	number    int32
	engine    Engine
	committed state
	at        Position // what the engine reflects, beside the samples below next
	next      int64    // offset of the next samples record
	time      int64    // append time of the last one, Unix ms
	refTimes  [refCount]int64
	dirty     bool                 // inputs came since the last Advance
	reach     int64                // while it is recovered: the horizon to which what it is fed belongs,
	fed       Refs                 // and the reference events that it has
	gaps      []schemas.DeadLetter // what went unread, until it is committed that it was told

	archive    *archive.Disk // nil = the engine holds all in memory
	lost       int64         // windows that begin before this instant cannot be computed again; 0 = none
	saved      *saved        // what the archive was as of when it was opened; nil = it was empty
	trail      trail         // samples that the archive does not have
	unadvanced int64         // samples reread since the engine was last advanced
}

// state is what a commit of p writes.
func (p *partition) state() state { return state{offset: p.next, known: true, position: p.at} }

// changed reports whether there is something to commit for p.
func (p *partition) changed() bool { return p.committed != p.state() }

func (p *partition) reader() *reader {
	return &reader{partition: p.number, next: p.next, time: p.time, refs: p.at.Refs, refTimes: p.refTimes}
}

// full reports whether so many large changes are under way that no other may begin:
// reference events wait until one is done, and so does the horizon.
func (p *partition) full() bool { return p.at.Behind.Levels == engine.MaxBehind }

// A feeding is what a turn gives the engines of the reference log.
type feeding struct {
	guard   *quarantine.Guard
	room    int // entries for one partition at most
	entries int // given so far; one that several partitions got counts once
	last    quarantine.Place
}

func (f *feeding) note(ref int, e *entry) {
	place := quarantine.Place{Topic: refTopic(ref), Offset: e.offset}
	if f.guard.At(place); place != f.last {
		f.entries++
		f.last = place
	}
}

// feed gives the engine what the log has and it has not. Of a record that
// concerns nobody in particular, partition 0 reports what is wrong with it.
func (p *partition) feed(v *view, f *feeding, report func(schemas.DeadLetter)) {
	room := f.room
	for i := range v.topics {
		t := &v.topics[i]
		rest := t.entries[t.search(p.at.Refs[i]):]
		for ; len(rest) > 0 && room > 0; room-- {
			e := &rest[0]
			rest = rest[1:]
			f.note(i, e)
			p.addRows(e.rows)
			p.at.Refs[i], p.refTimes[i] = e.offset+1, e.time
			if p.number != 0 {
				continue
			}
			for _, l := range e.letters {
				report(l)
			}
		}
		next := t.next
		if n := v.namedFrom(p.at.Applied); i == refTicks && n < len(v.named) {
			next = min(next, v.named[n].offset) // to be read again until it is applied
		}
		if len(rest) == 0 && next > p.at.Refs[i] { // a log that was opened anew may be behind
			p.at.Refs[i], p.refTimes[i] = next, t.time
		}
	}
}

func (p *partition) addRows(rows any) {
	switch rows := rows.(type) {
	case []schemas.Allocation:
		each(rows, p.engine.AddAllocation)
	case []schemas.Resource:
		each(rows, p.engine.AddResource)
	case []schemas.Price:
		each(rows, p.engine.AddPrice)
	case []schemas.Tag:
		each(rows, p.engine.AddTag)
	default:
		return
	}
	p.dirty = true
}

func each[T any](rows []T, add func(*T)) {
	for i := range rows {
		add(&rows[i])
	}
}

// take feeds one record of the partition's samples. It returns how many rows it
// had, and what is to be said about it, if anything.
func (p *partition) take(rec *kgo.Record, guard *quarantine.Guard, d *wire.SampleDecoder, batch *schemas.Samples) (rows int64, letter *schemas.DeadLetter) {
	appended := rec.Timestamp.UnixMilli()
	p.next, p.time = rec.Offset+1, max(p.time, appended)
	if rec.Attrs.IsControl() || guard.PassesOver(rec) {
		return 0, nil
	}
	guard.Reading(rec)
	if err := d.Decode(batch, rec); err != nil {
		l := corrupt(rec, err)
		return 0, &l
	}
	rows = int64(batch.Len())
	if refused, first := cutSamples(batch, appended); refused > 0 {
		l := badTime(rec, refused, first)
		letter = &l
	}
	if batch.Len() > 0 {
		if p.archive != nil {
			p.trail.note(rec.Offset, slices.Max(batch.TS))
		}
		p.engine.AddSamples(batch)
		p.dirty = true
	}
	return rows, letter
}

package detect

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/quarantine"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A state is what the group has committed for one partition of activity: the offset
// of the next record, −1 where nothing was committed.
type state struct {
	offset   int64
	position Position
}

// A partition is an owned partition of activity with its detector.
type partition struct {
	number    int32
	detector  *idle.Detector
	committed state
	next      int64               // offset of the next record for the detector
	polled    int64               // of the next record of the client, which may be behind after a rebalance
	topic     uint32              // fingerprint of the topic that the offsets are of
	gap       *schemas.DeadLetter // what went unread and was not told yet
	from      int64               // what the detector needed when it was last asked
	asked     time.Time
	rows      []schemas.Activity
}

// askEvery is how often a detector is asked from where on it needs records: it
// walks all it has for the answer, and an old answer is good too.
const askEvery = time.Second

// position is what a commit of p writes.
func (p *partition) position(now time.Time) Position {
	if now.Sub(p.asked) >= askEvery {
		p.asked = now
		if needs, ok := p.detector.Needs(); ok {
			p.from = needs
		} else {
			p.from = p.next
		}
	}
	return Position{From: p.from, Seen: p.detector.Seen(), Topic: p.topic}
}

// take folds one record. rows is how many it had; err is why it cannot be read.
func (p *partition) take(rec *kgo.Record, guard *quarantine.Guard) (found []schemas.Finding, rows int, err error) {
	p.polled = rec.Offset + 1
	if rec.Offset < p.next {
		return nil, 0, nil // the detector has had it
	}
	p.next = rec.Offset + 1
	if rec.Attrs.IsControl() || guard.PassesOver(rec) {
		return nil, 0, nil
	}
	guard.Reading(rec)
	if err := p.decode(rec); err != nil {
		return nil, 0, err
	}
	return p.detector.Add(rec.Offset, p.rows), len(p.rows), nil
}

func (p *partition) decode(rec *kgo.Record) (err error) {
	p.rows, err = wire.Decode(p.rows[:0], rec)
	return err
}

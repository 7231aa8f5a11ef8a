package meter

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A record stays below Kafka's default of 1 MB for a fetch, so that a reader
// never has to make room for one; broker.MaxRecordBytes is what a single cell,
// which is never cut, may take.
const (
	maxValue       = 900 << 10 // bytes of an encoded value
	maxLetterBytes = 512 << 10 // payload bytes of the letters in one record
	maxLetterRows  = 500
	maxActivities  = 2000 // rows of activity in one record
)

// An outbox is what a turn writes: the engine's output, and dead letters. It
// begins the transaction at the first record, so that a turn without output
// costs the broker nothing.
type outbox struct {
	member *member.Member
	cells  wire.CostEncoder

	produce   func(*kgo.Record) error // into the open transaction
	partition int32                   // of cost, where cells go now
	open      bool
	letters   []schemas.DeadLetter
	activity  [][]schemas.Activity // of this turn, by partition
	keys      kgo.TopicPartitioner // where the activity of an allocation goes
	tally     tally
	err       error // the first error; what comes after it is dropped, the turn aborts
}

// reset makes the outbox ready for a turn. The records of the turn are produced
// under ctx.
func (o *outbox) reset(ctx context.Context) {
	o.open, o.err, o.letters = false, nil, o.letters[:0]
	for i := range o.activity {
		o.activity[i] = o.activity[i][:0]
	}
	o.tally = tally{letters: make(map[string]int64)}
	o.produce = func(rec *kgo.Record) error { return o.member.Produce(ctx, rec) }
}

// send produces rec into the transaction, and begins it with the first record. It
// reports whether that went well.
func (o *outbox) send(rec *kgo.Record) bool {
	o.open, o.err = true, o.produce(rec)
	return o.err == nil
}

func (o *outbox) empty() bool { return !o.open && len(o.letters) == 0 }

// Activity keeps rows for the end of the turn: those of an allocation for the
// partition of its key, watermarks for each.
func (o *outbox) Activity(rows []schemas.Activity) {
	allocation, to := "", 0
	for i := range rows {
		r := &rows[i]
		if r.Allocation == "" {
			for n := range o.activity {
				o.activity[n] = append(o.activity[n], *r)
			}
			continue
		}
		if r.Allocation != allocation {
			allocation = r.Allocation
			to = o.keys.Partition(&kgo.Record{Key: []byte(allocation)}, len(o.activity))
		}
		o.activity[to] = append(o.activity[to], *r)
	}
}

// flushActivity writes the activity of the turn: a record holds many allocations
// and has no key.
func (o *outbox) flushActivity() {
	for n, rows := range o.activity {
		for len(rows) > 0 && o.err == nil {
			part := rows[:min(len(rows), maxActivities)]
			rows = rows[len(part):]
			rec, err := wire.Encode("", part)
			if err != nil {
				o.err = fmt.Errorf("encoding %d rows of activity: %w", len(part), err)
				return
			}
			rec.Partition = int32(n)
			if !o.send(rec) {
				return
			}
			o.tally.activity += int64(len(part))
		}
	}
}

// Costs writes whole cells to the partition of cost.
func (o *outbox) Costs(c *schemas.Costs) {
	if o.err != nil || c.Len() == 0 {
		return
	}
	rec, err := o.cells.Encode(c)
	if err != nil {
		o.err = fmt.Errorf("encoding %d cost rows: %w", c.Len(), err)
		return
	}
	if len(rec.Value) > maxValue {
		if left, right, ok := splitCells(c); ok {
			o.Costs(left)
			o.Costs(right)
			return
		}
	}
	rec.Key, rec.Partition = nodeOf(c), o.partition
	if !o.send(rec) {
		return
	}
	o.tally.cells += countCells(c)
	o.tally.costRows += int64(c.Len())
}

// nodeOf is the node that all rows name, nil if they name several.
func nodeOf(c *schemas.Costs) []byte {
	for _, i := range c.Node.Index {
		if i != c.Node.Index[0] {
			return nil
		}
	}
	return []byte(c.Node.Dict[c.Node.Index[0]])
}

// Report keeps a dead letter for the end of the turn.
func (o *outbox) Report(l schemas.DeadLetter) {
	l.Count = max(l.Count, 1)
	o.letters = append(o.letters, l)
	o.tally.letters[l.Reason] += l.Count
}

// flushLetters writes the letters of the turn, some hundred to a record.
func (o *outbox) flushLetters() {
	for rest := o.letters; len(rest) > 0 && o.err == nil; {
		n, size := 0, 0
		for n < len(rest) && n < maxLetterRows && (n == 0 || size+len(rest[n].Payload) <= maxLetterBytes) {
			size += len(rest[n].Payload)
			n++
		}
		rec, err := wire.Encode("", rest[:n])
		if err != nil {
			o.err = fmt.Errorf("encoding %d dead letters: %w", n, err)
			return
		}
		rec.Partition = 0
		if !o.send(rec) {
			return
		}
		rest = rest[n:]
	}
}

package sink

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink/columns"
)

// generationShift leaves 2⁴⁸ offsets to a generation.
const generationShift = 48

// A batch is what one flush inserts: a block for each table, and the offsets
// that the rows came from.
type batch struct {
	generation uint64
	readers    map[string]reader // by topic
	blocks     []*columns.Block
	letters    *columns.Events[schemas.DeadLetter]

	next  offsets
	rows  int
	bytes int
	close func() // frees the decoders
}

// offsets by topic and partition: the next record to read.
type offsets map[string]map[int32]kgo.EpochOffset

// A reader decodes a record into its block and returns its rows.
type reader func(*kgo.Record) (rows int, err error)

func newBatch(generation uint32) *batch {
	b := &batch{generation: uint64(generation), readers: map[string]reader{}, next: offsets{}}
	b.readCells()
	b.readSamples()
	b.letters = readEvents[schemas.DeadLetter](b, schemas.StreamDeadLetters)
	readEvents[schemas.Finding](b, schemas.StreamFindings)
	readEvents[schemas.Process](b, schemas.StreamProcesses)
	readEvents[schemas.Allocation](b, schemas.StreamAllocations)
	readEvents[schemas.Resource](b, schemas.StreamResources)
	readEvents[schemas.Price](b, schemas.StreamPrices)
	readEvents[schemas.Tag](b, schemas.StreamTags)
	return b
}

func (b *batch) readCells() {
	cells := columns.NewCells()
	b.blocks = append(b.blocks, &cells.Block)
	var decoder wire.CostDecoder
	b.close = decoder.Close
	var costs schemas.Costs
	b.readers[schemas.Prefix+schemas.StreamCost] = func(rec *kgo.Record) (int, error) {
		if err := decoder.Decode(&costs, rec); err != nil {
			return 0, err
		}
		cells.Append(&costs, b.generation<<generationShift|uint64(rec.Offset), rec.Timestamp.UnixMilli())
		return costs.Len(), nil
	}
}

func (b *batch) readSamples() {
	samples := columns.NewSamples()
	b.blocks = append(b.blocks, &samples.Block)
	var decoder wire.SampleDecoder
	var rows schemas.Samples
	b.readers[schemas.Prefix+schemas.StreamSamples] = func(rec *kgo.Record) (int, error) {
		if err := decoder.Decode(&rows, rec); err != nil {
			return 0, err
		}
		samples.Append(&rows, rec.Timestamp.UnixMilli())
		return rows.Len(), nil
	}
}

// readEvents adds the block and the reader of a low-rate stream.
func readEvents[T wire.Row](b *batch, stream string) *columns.Events[T] {
	events := columns.NewEvents[T](stream)
	b.blocks = append(b.blocks, &events.Block)
	var rows []T
	b.readers[schemas.Prefix+stream] = func(rec *kgo.Record) (int, error) {
		var err error
		if rows, err = wire.Decode(rows[:0], rec); err != nil {
			return 0, err
		}
		events.Append(rows, rec.Timestamp.UnixMilli())
		return len(rows), nil
	}
	return events
}

// topics lists what a batch can read: every stream that has a table.
func (b *batch) topics() []string {
	var out []string
	for topic := range b.readers {
		out = append(out, topic)
	}
	return out
}

// add takes one record in. An error says that it cannot be read; the batch has
// it as a dead letter where no processor reports it.
func (b *batch) add(rec *kgo.Record) error {
	defer b.pass(rec)
	if rec.Attrs.IsControl() {
		return nil // the end of a transaction: it only moves the offset
	}
	rows, err := b.readers[rec.Topic](rec)
	if err != nil {
		b.refuse(rec, err)
		rows = 1
	}
	b.rows += rows
	b.bytes += len(rec.Value)
	return err
}

// pass counts a record as taken in.
func (b *batch) pass(rec *kgo.Record) {
	b.reach(rec.Topic, rec.Partition, kgo.EpochOffset{Epoch: rec.LeaderEpoch, Offset: rec.Offset + 1})
}

// reach says where the partition is to be read on.
func (b *batch) reach(topic string, partition int32, at kgo.EpochOffset) {
	partitions := b.next[topic]
	if partitions == nil {
		partitions = map[int32]kgo.EpochOffset{}
		b.next[topic] = partitions
	}
	partitions[partition] = at
}

// tell takes a letter of the sink's own in.
func (b *batch) tell(l schemas.DeadLetter, at int64) {
	b.letters.Append([]schemas.DeadLetter{l}, at)
	b.rows++
}

// refuse makes a dead letter of a record of the topics whose readers are sinks.
// Processors report the others: one record, one letter.
func (b *batch) refuse(rec *kgo.Record, err error) {
	stream := rec.Topic[len(schemas.Prefix):]
	if stream != schemas.StreamCost && stream != schemas.StreamFindings && stream != schemas.StreamDeadLetters {
		return
	}
	b.letters.Append([]schemas.DeadLetter{{
		Stream: stream, Place: fmt.Sprintf("topic %s partition %d offset %d", rec.Topic, rec.Partition, rec.Offset),
		Reason: schemas.ReasonCorrupt, Detail: err.Error(),
		Payload: rec.Value[:min(len(rec.Value), schemas.MaxPayload)], Count: 1,
	}}, rec.Timestamp.UnixMilli())
}

// empty reports whether there is nothing to store: neither offsets nor a letter.
func (b *batch) empty() bool { return len(b.next) == 0 && b.rows == 0 }

func (b *batch) reset() {
	for _, block := range b.blocks {
		block.Reset()
	}
	clear(b.next)
	b.rows, b.bytes = 0, 0
}

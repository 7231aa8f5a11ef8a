package failover

import (
	"context"
	"encoding/binary"
	"maps"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// A reading is what a reader of committed records finds in a topic.
type reading struct {
	records            []*kgo.Record // in the order of each partition
	commits, rollbacks int           // of transactions, one for each partition that took part
}

// read reads a stream from start to end, once no transaction is open in it.
func (b *bench) read(stream string) (all reading) {
	b.t.Helper()
	topic := schemas.Prefix + stream
	left := b.ends(topic)
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	client := b.newClient(append(broker.ConsumerOptions(), kgo.ConsumeTopics(topic), kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			b.t.Fatalf("reading %s: not yet at its ends in %v: %v", topic, left, fetches.Err())
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			end, reading := left[rec.Partition]
			if reading && rec.Offset+1 >= end {
				delete(left, rec.Partition)
			}
			if reading && rec.Offset < end {
				all.add(rec)
			}
		})
	}
	return all
}

func (r *reading) add(rec *kgo.Record) {
	switch {
	case !rec.Attrs.IsControl():
		r.records = append(r.records, rec)
	case len(rec.Key) >= 4 && binary.BigEndian.Uint16(rec.Key[2:]) == 1:
		r.commits++
	default:
		r.rollbacks++
	}
}

// ends lists where the partitions of a topic that hold anything end, once no
// transaction is open in them.
func (b *bench) ends(topic string) map[int32]int64 {
	b.t.Helper()
	var ends kadm.ListedOffsets
	await(b.t, "open transactions in "+topic+" to end", func() bool {
		committed, err1 := b.adm.ListCommittedOffsets(b.t.Context(), topic)
		all, err2 := b.adm.ListEndOffsets(b.t.Context(), topic)
		if err1 != nil || err2 != nil || committed.Error() != nil || all.Error() != nil {
			return false
		}
		ends = all
		return maps.EqualFunc(committed[topic], all[topic], func(a, b kadm.ListedOffset) bool { return a.Offset == b.Offset })
	})
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	return left
}

package meter

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/schemas/wire/wiretest"
)

// 10,000 damaged records on each topic that a meter reads: each that cannot be
// read is one dead letter with its place, each that can be counts, and the story
// between them is whole.
func TestMutantsAreAllAccountedFor(t *testing.T) {
	const mutants = 10_000
	c, s := newCluster(t), newStory(70, 2)
	good, err := wiretest.Records()
	if err != nil {
		t.Fatal(err)
	}
	m, err := wiretest.NewMutator(70)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	start(t, c.config("a"))
	c.publish(&s.chapters[0])
	refused := map[string]bool{}
	var read []*kgo.Record
	all := refStreams()
	for _, stream := range append([]string{schemas.StreamSamples, schemas.StreamProcesses}, all[:]...) {
		batch := make([]*kgo.Record, mutants)
		for i := range batch {
			for batch[i] = m.Mutate(good[stream]); stream == schemas.StreamTicks && wire.Check(batch[i]) == nil; {
				batch[i] = m.Mutate(good[stream]) // a tick that can be read moves time
			}
		}
		if err := c.cl.ProduceSync(t.Context(), batch...).FirstErr(); err != nil {
			t.Fatal(err)
		}
		for _, rec := range batch {
			if wire.Check(rec) != nil {
				refused[placeOf(rec)] = true
			} else {
				read = append(read, rec)
			}
		}
	}
	c.publish(&s.chapters[1])
	s.chapters = append(s.chapters, chapterOf(t, read))
	c.finish(s.horizon)
	c.check(s)
	for _, l := range c.letters() {
		if l.Reason != schemas.ReasonCorrupt {
			continue
		}
		if !refused[l.Place] {
			t.Fatalf("a letter too many, or twice: %s: %s", l.Place, l.Detail)
		}
		delete(refused, l.Place)
	}
	if len(refused) > 0 {
		t.Errorf("no letter for %d records", len(refused))
	}
	t.Logf("%d records could be read", len(read))
}

// chapterOf are the events of records that can be read, without those that rule 1
// refuses.
func chapterOf(t *testing.T, recs []*kgo.Record) chapter {
	t.Helper()
	var ch chapter
	var d wire.SampleDecoder
	for _, rec := range recs {
		var e entry
		switch streamOf(rec.Topic) {
		case schemas.StreamSamples:
			b := &schemas.Samples{}
			if err := d.Decode(b, rec); err != nil {
				t.Fatal(err)
			}
			cutSamples(b, rec.Timestamp.UnixMilli())
			ch.samples = append(ch.samples, b)
		case schemas.StreamAllocations:
			e, _ = decodeRef(refAllocations, rec)
			ch.allocations = append(ch.allocations, e.rows.([]schemas.Allocation)...)
		case schemas.StreamResources:
			e, _ = decodeRef(refResources, rec)
			ch.resources = append(ch.resources, e.rows.([]schemas.Resource)...)
		case schemas.StreamPrices:
			e, _ = decodeRef(refPrices, rec)
			ch.prices = append(ch.prices, e.rows.([]schemas.Price)...)
		case schemas.StreamTags:
			e, _ = decodeRef(refTags, rec)
			ch.tags = append(ch.tags, e.rows.([]schemas.Tag)...)
		}
	}
	return ch
}

package meter

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// Random bytes on each topic are one dead letter each, with the place and the
// bytes, and harm nothing else; also after the members were changed.
func TestPoison(t *testing.T) {
	c, s := newCluster(t), newStory(30, 2)
	r := rand.New(rand.NewPCG(30, 2))
	streams := append([]string{schemas.StreamSamples, schemas.StreamProcesses}, func() []string { all := refStreams(); return all[:] }()...)
	want := map[string][]byte{}
	poison := func() {
		for _, stream := range streams {
			value := make([]byte, 1+r.IntN(300))
			for i := range value {
				value[i] = byte(r.Uint32())
			}
			rec := c.put(&kgo.Record{Topic: schemas.Prefix + stream, Key: []byte("node-3"), Value: value}, nil)
			want[placeOf(rec)] = value
		}
	}
	m := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	poison()
	c.finish(s.horizon - 60_000)
	m.stop()
	start(t, c.config("b"))
	poison()
	c.publish(&s.chapters[1])
	c.finish(s.horizon)
	c.check(s)
	for _, l := range c.letters() {
		if l.Reason != schemas.ReasonCorrupt {
			continue
		}
		if !bytes.Equal(want[l.Place], l.Payload) || l.Count != 1 || !strings.Contains(l.Place, schemas.Prefix+l.Stream+" ") || l.Detail == "" {
			t.Errorf("letter %+v", l)
		}
		delete(want, l.Place)
	}
	if len(want) > 0 {
		t.Errorf("no letter for %d records: %v", len(want), want)
	}
}

// A large corrupt record leaves 64 KiB of itself.
func TestLargePoison(t *testing.T) {
	c := newCluster(t)
	start(t, c.config("a"))
	c.put(&kgo.Record{Topic: samplesTopic(), Value: make([]byte, 1<<20)}, nil)
	c.finish(t0)
	letters := c.letters()
	if len(letters) != 1 || len(letters[0].Payload) != schemas.MaxPayload {
		t.Errorf("%d letters, %v", len(letters), letters)
	}
}

// Rows that rule 1 refuses are counted in a letter that names their record; the
// other rows of the record count.
func TestBadTime(t *testing.T) {
	c, s := newCluster(t), newStory(31, 1)
	const in2100 = 4_102_444_800_000
	ch := &s.chapters[0]
	b := ch.samples[0]
	good := b.TS
	bad := samplesAt(b.Node, b.Series[0].GPU, append([]int64{0, in2100}, good...)...)
	start(t, c.config("a"))
	place := placeOf(c.produce(bad))
	ch.samples = append(ch.samples[1:], samplesAt(b.Node, b.Series[0].GPU, good...))
	c.publish(ch)
	process := schemas.Process{TS: in2100, Node: "n", GPU: "g", SMUtilization: schemas.Absent32, MemoryUsed: schemas.Absent64}
	c.put(wire.Encode("n", []schemas.Process{process, {TS: t0, Node: "n", GPU: "g"}}))
	rows(c, schemas.Allocation{TS: 5, Event: schemas.EventStart, Allocation: "ancient"}, schemas.Allocation{TS: in2100, Event: schemas.EventStart, Allocation: "future"})
	c.finish(s.horizon)
	c.check(s)
	counts := map[string]int64{}
	for _, l := range c.letters() {
		if l.Reason == schemas.ReasonBadTime {
			counts[l.Stream] += l.Count
			if l.Stream == schemas.StreamSamples && (l.Place != place || !strings.Contains(l.Detail, "row 0 of node \""+b.Node)) {
				t.Errorf("letter %+v, want place %s", l, place)
			}
		}
	}
	if counts[schemas.StreamSamples] != 2 || counts[schemas.StreamProcesses] != 1 || counts[schemas.StreamAllocations] != 2 {
		t.Errorf("refused rows: %v", counts)
	}
}

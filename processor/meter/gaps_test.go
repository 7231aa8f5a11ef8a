package meter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// gapLetters are the letters of gaps, by place.
func (c *cluster) gapLetters() map[string]schemas.DeadLetter {
	c.t.Helper()
	found := map[string]schemas.DeadLetter{}
	for _, l := range c.letters() {
		if l.Reason == schemas.ReasonGap {
			found[l.Place] = l
		}
	}
	return found
}

// expire drops what a partition has below an offset, as retention does.
func (c *cluster) expire(stream string, partition int32, below int64) {
	c.t.Helper()
	if err := c.fake.DeleteRecords(schemas.Prefix+stream, partition, below); err != nil {
		c.t.Fatal(err)
	}
}

// end is where a partition ends.
func (c *cluster) end(stream string, partition int32) int64 {
	c.t.Helper()
	o, _ := stableEnds(c.t, c.adm, schemas.Prefix+stream).Lookup(schemas.Prefix+stream, partition)
	return o.Offset
}

// What expires before it is read is told with its offsets, and everything else
// counts: samples, processes and reference events.
func TestExpiredUnread(t *testing.T) {
	c, s := newCluster(t), newStory(50, 3)
	m := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	process := &kgo.Record{Topic: processesTopic(), Partition: 0, Value: []byte("not read by any rule")}
	c.put(process, nil)
	c.finish(s.horizon - 60_000)
	m.stop()

	// Of the second chapter nobody will see the samples of one partition, nor the prices.
	committed, prices := c.positions(), c.end(schemas.StreamPrices, 0)
	c.publish(&s.chapters[1])
	lost := int32(-1)
	for n := range int32(testPartitions) {
		if c.end(schemas.StreamSamples, n) > committed[n].offset {
			lost = n
			break
		}
	}
	from, to := committed[lost].offset, c.end(schemas.StreamSamples, lost)
	c.expire(schemas.StreamSamples, lost, to)
	c.expire(schemas.StreamPrices, 0, prices+1)
	kept := s.chapters[1].samples[:0:0]
	for _, b := range s.chapters[1].samples {
		if !keyed(lost, testPartitions)(b.Node) {
			kept = append(kept, b)
		}
	}
	s.chapters[1].samples, s.chapters[1].prices = kept, nil

	start(t, c.config("b"))
	c.publish(&s.chapters[2])
	c.finish(s.horizon)
	got := c.gapLetters()
	l, ok := got[fmt.Sprintf("topic gpumeter.samples partition %d offset %d", lost, from)]
	if !ok || l.Count != to-from || !strings.Contains(l.Detail, fmt.Sprintf("offsets %d to %d expired", from, to-1)) {
		t.Errorf("samples: %+v", got)
	}
	if l, ok := got[fmt.Sprintf("topic gpumeter.prices partition 0 offset %d", prices)]; !ok || l.Count != 1 {
		t.Errorf("prices: %+v", got)
	}
	if len(got) != 2 {
		t.Errorf("%d gaps", len(got))
	}

	// The one that comes after tells nothing anew.
	start(t, c.config("c"))
	if again := c.gapLetters(); len(again) != 2 {
		t.Errorf("told again: %+v", again)
	}
}

// Records expire under a reader that cannot reach the broker: it tells when it
// can.
func TestExpiredWhileReading(t *testing.T) {
	c, s := newCluster(t), newStory(51, 2)
	var wire cable
	m := start(t, c.config("a", wire.options()...))
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 60_000)
	wire.pull()
	committed := c.positions()
	c.publish(&s.chapters[1])
	gaps := 0
	for n := range int32(testPartitions) {
		if end := c.end(schemas.StreamSamples, n); end > committed[n].offset {
			gaps++
			c.expire(schemas.StreamSamples, n, end)
		}
	}
	wire.mend()
	c.settled(rows(c, schemas.Tick{Horizon: s.horizon, Final: true}))
	if got := c.gapLetters(); len(got) != gaps {
		t.Errorf("%d gaps, told of %+v", gaps, got)
	}
	m.stop()
}

// A topic that was made again is not read from an offset of the old one, however
// much is in it; nor from its start, which would silently be another ledger.
func TestRecreatedTopicStops(t *testing.T) {
	for _, stream := range []string{schemas.StreamSamples, schemas.StreamAllocations, schemas.StreamPrices} {
		for _, longer := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/longer=%t", stream, longer), func(t *testing.T) {
				t.Parallel()
				c, s := newCluster(t), newStory(52, 1)
				m := start(t, c.config("a"))
				c.publish(&s.chapters[0])
				c.finish(s.horizon)
				m.stop()
				c.recreate(schemas.Prefix + stream)
				for range 3 {
					if longer {
						c.publish(&s.chapters[0])
					}
				}
				c.refuses(schemas.Prefix + stream)
			})
		}
	}
}

// Kafka forgets what was committed of a topic that is deleted. Samples and processes may
// be deleted together.
func TestRecreatedTopicsOfWhichNothingIsKnownStop(t *testing.T) {
	c, s := newCluster(t), newStory(53, 1)
	m := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	c.finish(s.horizon)
	m.stop()
	c.recreate(samplesTopic())
	c.recreate(processesTopic())
	if kept := c.left(samplesTopic())[samplesTopic()]; len(kept) != 0 {
		t.Fatalf("the broker still knows %v", kept)
	}
	c.publish(&s.chapters[0])
	c.refuses(samplesTopic())
}

// refuses wants a meter to end because of a topic, and to tell.
func (c *cluster) refuses(topic string) {
	c.t.Helper()
	m := start(c.t, c.config("b"))
	err := m.failed()
	if err == nil || !strings.Contains(err.Error(), "recreated") || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), "kafka-consumer-groups.sh") {
		c.t.Errorf("%v", err)
	}
	gaps := c.gapLetters()
	for place, l := range gaps {
		if !strings.HasPrefix(place, "topic "+topic+" ") || !strings.Contains(l.Detail, "recreated") || !strings.Contains(l.Detail, "the processors stopped") {
			c.t.Errorf("%+v", l)
		}
	}
	if n := m.Summary().DeadLetters[schemas.ReasonGap]; len(gaps) != 1 || n != 1 {
		c.t.Errorf("%d letters, %d counted", len(gaps), n)
	}
}

// No fact depends on processes: what is there now is read, and the loss is told of.
func TestRecreatedProcessesAreToldOf(t *testing.T) {
	for _, forgotten := range []bool{false, true} {
		t.Run(fmt.Sprintf("forgotten=%t", forgotten), func(t *testing.T) {
			t.Parallel()
			c, s := newCluster(t), newStory(54, 2)
			noise := func(n int) {
				for range n {
					c.put(&kgo.Record{Topic: processesTopic(), Partition: 0, Value: []byte("not read by any rule")}, nil)
				}
			}
			m := start(t, c.config("a"))
			c.publish(&s.chapters[0])
			noise(1)
			c.finish(s.horizon - 60_000)
			m.stop()
			left := c.left(processesTopic())
			c.recreate(processesTopic())
			if !forgotten { // as by a member that commits late
				if err := c.adm.CommitAllOffsets(t.Context(), defaultGroup, left); err != nil {
					t.Fatal(err)
				}
			}
			noise(3) // more than before: an offset of the old one would pass
			m = start(t, c.config("b"))
			c.publish(&s.chapters[1])
			c.finish(s.horizon)
			m.stop()
			corrupt := 0
			for _, l := range c.letters() {
				if l.Stream == schemas.StreamProcesses && l.Reason == schemas.ReasonCorrupt {
					corrupt++
				}
			}
			gaps := c.gapLetters()
			for _, l := range gaps {
				if l.Stream != schemas.StreamProcesses || !strings.Contains(l.Detail, "recreated") || !strings.Contains(l.Detail, lostProcesses) {
					t.Errorf("%+v", l)
				}
			}
			if len(gaps) != testPartitions || corrupt != 4 {
				t.Errorf("%d gaps, and %d records of processes were read, not 4", len(gaps), corrupt)
			}
			start(t, c.config("c"))
			if again := c.gapLetters(); len(again) != len(gaps) {
				t.Errorf("told again: %+v", again)
			}
		})
	}
}

// left is what the group has committed of a topic.
func (c *cluster) left(topic string) kadm.Offsets {
	c.t.Helper()
	all, err := c.adm.FetchOffsets(c.t.Context(), defaultGroup)
	if err != nil {
		c.t.Fatal(err)
	}
	return kadm.Offsets{topic: all.Offsets()[topic]}
}

// recreate deletes a topic and makes it again. The broker forgets what was committed of it.
func (c *cluster) recreate(topic string) {
	c.t.Helper()
	if _, err := c.adm.DeleteTopic(c.t.Context(), topic); err != nil {
		c.t.Fatal(err)
	}
	makes, err := kgo.NewClient(c.options()...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer makes.Close()
	if _, err := broker.Ensure(c.t.Context(), makes, layout()); err != nil {
		c.t.Fatal(err)
	}
	c.cl.PurgeTopicsFromClient(topic) // it would hold on to the old one
}

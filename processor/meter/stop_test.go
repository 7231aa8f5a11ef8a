package meter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas"
)

// No input is committed whose letter was not written: a meter that may not write
// letters ends, one whose topic of letters is down waits, and its successor says
// what there is to say.
func TestLettersThatCannotBeWrittenStopTheMeter(t *testing.T) {
	c, s := newCluster(t), newStory(60, 2)
	m := start(t, c.config("a"))
	c.publish(&s.chapters[0])
	c.finish(s.horizon - 60_000)
	m.stop()
	before := c.positions()
	bad := c.put(&kgo.Record{Topic: samplesTopic(), Key: []byte("node-1"), Value: []byte("noise")}, nil)
	denied := kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.Prefix + schemas.StreamDeadLetters, Err: kerr.TopicAuthorizationFailed, Count: -1,
	}
	fault := c.fake.Fault(denied)
	if err := start(t, c.config("b")).failed(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("not allowed to write letters: %v", err)
	}
	fault.Remove()
	if now := c.positions(); now[bad.Partition].offset != before[bad.Partition].offset {
		t.Errorf("committed to %d behind a record without its letter, %d before", now[bad.Partition].offset, before[bad.Partition].offset)
	}

	denied.Err = kerr.NotLeaderForPartition
	fault = c.fake.Fault(denied)
	start(t, c.config("b"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := fault.Wait(ctx, 5); err != nil {
		t.Fatal(err)
	}
	if now := c.positions(); now[bad.Partition].offset > bad.Offset {
		t.Errorf("committed to %d while letters could not be written", now[bad.Partition].offset)
	}
	fault.Remove()
	c.publish(&s.chapters[1])
	c.finish(s.horizon)
	c.check(s)
	told := 0
	for _, l := range c.letters() {
		if l.Reason == schemas.ReasonCorrupt && l.Place == placeOf(bad) {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d letters", told)
	}
}

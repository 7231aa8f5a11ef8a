package detect

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// fresh is a client that knows nothing of topics that were deleted.
func (c *cluster) fresh() *kgo.Client {
	c.t.Helper()
	cl, err := kgo.NewClient(append(broker.ProducerOptions(), append(c.opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

// recreate deletes activity and makes it again. Brokers forget what was committed of it,
// unless a member commits it late.
func (c *cluster) recreate(forget bool) {
	c.t.Helper()
	left, err := kadm.NewClient(c.client).FetchOffsets(c.t.Context(), DefaultGroup)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.fake.DeleteTopic(activityTopic()); err != nil {
		c.t.Fatal(err)
	}
	if _, err := broker.Ensure(c.t.Context(), c.fresh(), layout()); err != nil {
		c.t.Fatal(err)
	}
	c.client = c.fresh()
	if forget {
		return
	}
	if err := kadm.NewClient(c.client).CommitAllOffsets(c.t.Context(), DefaultGroup, kadm.Offsets{activityTopic(): left.Offsets()[activityTopic()]}); err != nil {
		c.t.Fatal(err)
	}
}

// gapLetters are the letters of gaps that are committed.
func (c *cluster) gapLetters() (gaps []schemas.DeadLetter) {
	c.t.Helper()
	const topic = schemas.Prefix + schemas.StreamDeadLetters
	cl, err := kgo.NewClient(append(broker.ConsumerOptions(), append(c.opts, kgo.ConsumeTopics(topic), kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(c.t.Context(), topic)
	if err != nil {
		c.t.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	var letters []schemas.DeadLetter
	for next := int64(0); next < end.Offset; {
		fetches := cl.PollFetches(c.t.Context())
		if err := fetches.Err(); err != nil {
			c.t.Fatal(err)
		}
		for _, rec := range fetches.Records() {
			next = rec.Offset + 1
			if rec.Attrs.IsControl() {
				continue
			}
			if letters, err = wire.Decode(letters, rec); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	for _, l := range letters {
		if l.Reason == schemas.ReasonGap {
			gaps = append(gaps, l)
		}
	}
	return gaps
}

// Activity that was deleted and made again is told of, once, and the detectors begin
// anew: findings of before are not taken for decided in the new one.
func TestRecreatedActivity(t *testing.T) {
	for _, forgotten := range []bool{true, false} {
		t.Run(fmt.Sprintf("forgotten=%t", forgotten), func(t *testing.T) {
			t.Parallel()
			const jobs = 11
			c := newCluster(t)
			stop := c.start("a")
			for s := int64(1); s <= 12; s++ {
				c.say(s, jobs)
			}
			c.await(jobs, schemas.SeverityNotice)
			stop()
			c.recreate(forgotten)
			stop = c.start("b")
			for s := int64(101); s <= 130; s++ { // more records than before
				c.say(s, jobs)
			}
			c.noticed(jobs, t0+100_000)
			letters := c.gapLetters()
			if len(letters) != partitions {
				t.Errorf("%d letters: %+v", len(letters), letters)
			}
			for _, l := range letters {
				if l.Stream != schemas.StreamActivity || !strings.Contains(l.Detail, "recreated") || !strings.Contains(l.Detail, "begin anew") {
					t.Errorf("%+v", l)
				}
			}
			stop()
			stop = c.start("c")
			for s := int64(131); s <= 165; s++ {
				c.say(s, jobs)
			}
			c.await(jobs, schemas.SeverityAlert)
			stop()
			if again := c.gapLetters(); len(again) != partitions {
				t.Errorf("told again: %+v", again)
			}
			c.revisionsOnce()
		})
	}
}

// noticed waits until each idle job has a finding that opened at or after an instant.
func (c *cluster) noticed(jobs int, since int64) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		open := map[string]bool{}
		for _, f := range c.findings() {
			if f.OpenedAt >= since {
				open[f.Allocation] = true
			}
		}
		if len(open) == jobs-(jobs+3)/4 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("noticed are %v", open)
		}
	}
}

// revisionsOnce wants the revisions 1, 2, 3, ... of each finding, once each.
func (c *cluster) revisionsOnce() {
	c.t.Helper()
	last := map[string]int64{}
	for _, f := range c.findings() {
		if last[f.Finding]++; f.Revision != last[f.Finding] {
			c.t.Errorf("%s: revision %d came as number %d", f.Finding, f.Revision, last[f.Finding])
		}
	}
}

// Brokers that lost records use their offsets again, and findings say at which one they
// were decided: detectors stop, and tell.
func TestActivityThatWasCutStops(t *testing.T) {
	c := newCluster(t)
	stop := c.start("a")
	for s := int64(1); s <= 12; s++ {
		c.say(s, 3)
	}
	c.await(3, schemas.SeverityNotice)
	stop()
	adm := kadm.NewClient(c.client)
	left, err := adm.FetchOffsets(t.Context(), DefaultGroup)
	if err != nil {
		t.Fatal(err)
	}
	o, _ := left.Lookup(activityTopic(), 1)
	o.At = 1000
	offsets := kadm.Offsets{}
	offsets.Add(o.Offset)
	if err := adm.CommitAllOffsets(t.Context(), DefaultGroup, offsets); err != nil {
		t.Fatal(err)
	}
	f, err := New(Config{Client: c.opts, Topics: layout(), Instance: "b", Idle: rule(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	err = f.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "ends at offset 12, but group gpumeter-detect has read to 1000") || !strings.Contains(err.Error(), "kafka-consumer-groups.sh") {
		t.Errorf("it ended with %v", err)
	}
	letters := c.gapLetters()
	if len(letters) != 1 || letters[0].Count != 988 || !strings.Contains(letters[0].Detail, "detectors stopped") {
		t.Errorf("%+v", letters)
	}
}

package detect

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/gap"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	partitions = 3
	t0         = 1_780_279_200_000
)

// A cluster is a broker in process with the topics.
type cluster struct {
	t      *testing.T
	fake   *kfake.Cluster
	client *kgo.Client
	opts   []kgo.Opt
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	c := &cluster{t: t, fake: k, opts: []kgo.Opt{kgo.SeedBrokers(k.ListenAddrs()...)}}
	if c.client, err = kgo.NewClient(append(broker.ProducerOptions(), append(c.opts, kgo.RecordPartitioner(kgo.ManualPartitioner()))...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.client.Close)
	if _, err := broker.Ensure(t.Context(), c.client, layout()); err != nil {
		t.Fatal(err)
	}
	return c
}

func layout() broker.Layout { return broker.Layout{Partitions: partitions, Replication: 1} }

// rule finds an allocation idle after 10 s, and alerts after a minute.
func rule() idle.Config {
	return idle.Config{Default: idle.Settings{Share: 20_000, Notice: 10_000, Alert: 60_000}}
}

// start runs a finder; the function ends it and waits.
func (c *cluster) start(instance string) (stop func()) {
	c.t.Helper()
	_, stop = c.run(instance)
	return stop
}

func (c *cluster) run(instance string) (f *Finder, stop func()) {
	c.t.Helper()
	f, err := New(Config{
		Client: c.opts, Topics: layout(), Instance: instance, Idle: rule(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	return f, func() {
		c.t.Helper()
		cancel()
		if err := <-done; err != nil {
			c.t.Error(err)
		}
	}
}

// say publishes a minute's second of every job: idle ones up to the second,
// working ones in the same steps, and the engine's watermark.
func (c *cluster) say(second int64, jobs int) {
	c.t.Helper()
	var records []*kgo.Record
	for p := range int32(partitions) {
		var rows []schemas.Activity
		for j := range jobs {
			if int32(j%partitions) != p {
				continue
			}
			state := uint32(schemas.StateIdleHeld)
			if j%4 == 0 {
				state = uint32(schemas.StateActive)
			}
			rows = append(rows, schemas.Activity{
				Allocation: name(j), Node: "n", GPU: fmt.Sprint("g", j), State: state, Width: 1, Held: t0,
				From: t0 + 1000*(second-1), To: t0 + 1000*second, Currency: "USD", Cost: 1_000_000, PerHour: 3_600_000_000,
			})
		}
		rows = append(rows, schemas.Activity{From: t0 + 1000*second, To: t0 + 1000*second})
		rec, err := wire.Encode("", rows)
		if err != nil {
			c.t.Fatal(err)
		}
		rec.Partition = p
		records = append(records, rec)
	}
	if err := c.client.ProduceSync(c.t.Context(), records...).FirstErr(); err != nil {
		c.t.Fatal(err)
	}
}

func name(j int) string { return fmt.Sprintf("job-%02d", j) }

// findings reads what is committed of the findings.
func (c *cluster) findings() (all []schemas.Finding) {
	c.t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.ConsumeTopics(findingsTopic()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords()}, c.opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(c.t.Context(), findingsTopic())
	if err != nil {
		c.t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	for len(left) > 0 {
		fetches := cl.PollFetches(c.t.Context())
		if err := fetches.Err(); err != nil {
			c.t.Fatal(err)
		}
		for _, rec := range fetches.Records() {
			if rec.Offset+1 >= left[rec.Partition] {
				delete(left, rec.Partition)
			}
			if rec.Attrs.IsControl() {
				continue
			}
			if all, err = wire.Decode(all, rec); err != nil {
				c.t.Fatal(err)
			}
		}
	}
	return all
}

// await waits until the newest revisions say of every job what they should: a
// finding of the severity for those that are idle, none for the others.
func (c *cluster) await(jobs int, severity string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		newest := map[string]schemas.Finding{}
		for _, f := range c.findings() {
			newest[f.Allocation] = f
		}
		idle := 0
		for j := range jobs {
			if j%4 != 0 && newest[name(j)].Severity == severity {
				idle++
			}
		}
		if idle == jobs-(jobs+3)/4 {
			return
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("%d jobs have a finding that is %s: %+v", idle, severity, newest)
		case <-tick.C:
		}
	}
}

// exactlyOnce: each finding has the revisions 1, 2, 3, ... once each, and only
// idle jobs have any.
func (c *cluster) exactlyOnce(jobs int) {
	c.t.Helper()
	next := map[string]int64{}
	for _, f := range c.findings() {
		next[f.Finding]++
		if f.Revision != next[f.Finding] {
			c.t.Errorf("%s: revision %d came as number %d", f.Finding, f.Revision, next[f.Finding])
		}
	}
	if want := jobs - (jobs+3)/4; len(next) != want {
		c.t.Errorf("%d findings of %d idle jobs: %v", len(next), want, next)
	}
}

// Finders that come, go and share the partitions say each thing once.
func TestEachRevisionOnce(t *testing.T) {
	const jobs = 23
	c := newCluster(t)
	stop := c.start("a")
	for s := int64(1); s <= 12; s++ {
		c.say(s, jobs)
	}
	c.await(jobs, schemas.SeverityNotice)
	stop()
	for s := int64(13); s <= 40; s++ {
		c.say(s, jobs) // nobody listens
	}
	stop = c.start("a")
	for s := int64(41); s <= 50; s++ {
		c.say(s, jobs)
	}
	other := c.start("b")
	for s := int64(51); s <= 62; s++ {
		c.say(s, jobs)
	}
	c.await(jobs, schemas.SeverityAlert)
	other()
	stop()
	c.exactlyOnce(jobs)
	for _, f := range c.findings() {
		if f.Severity == schemas.SeverityAlert && f.ThresholdAt != t0+60_000 {
			t.Errorf("%s: threshold_at is %d ms after the start", f.Finding, f.ThresholdAt-t0)
		}
	}
}

// shares waits until a finder owns some partitions, but not all.
func (c *cluster) shares(f *Finder) {
	c.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		if n := len(f.Progress()); n > 0 && n < partitions {
			return
		}
		select {
		case <-deadline:
			c.t.Fatalf("it owns %v", f.Progress())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Partitions move to a second finder between notice and alert, and back when it
// leaves: what one has told, the other one goes on with.
func TestRebalance(t *testing.T) {
	const jobs = 23
	c := newCluster(t)
	a, stopA := c.run("a")
	for s := int64(1); s <= 12; s++ {
		c.say(s, jobs)
	}
	c.await(jobs, schemas.SeverityNotice)
	b, stopB := c.run("b")
	c.shares(a)
	c.shares(b)
	for s := int64(13); s <= 62; s++ {
		c.say(s, jobs)
	}
	c.await(jobs, schemas.SeverityAlert)
	stopB()
	for s := int64(63); s <= 400; s++ {
		c.say(s, jobs) // five minutes later they are told again
	}
	third := func() bool {
		n := 0
		for _, f := range c.findings() {
			if f.UpdatedAt == t0+360_000 && f.BurntCost == 360_000_000 {
				n++
			}
		}
		return n == jobs-(jobs+3)/4
	}
	deadline := time.Now().Add(30 * time.Second)
	for !third() {
		if time.Now().After(deadline) {
			t.Fatalf("not all were told again: %+v", c.findings())
		}
		time.Sleep(20 * time.Millisecond)
	}
	stopA()
	c.exactlyOnce(jobs)
}

// A finder that dies between writing and committing leaves nothing behind, and
// its successor says the same.
func TestDeathBeforeCommit(t *testing.T) {
	const jobs = 5
	c := newCluster(t)
	for s := int64(1); s <= 12; s++ {
		c.say(s, jobs)
	}
	ctx, die := context.WithCancel(t.Context())
	cl, err := kgo.NewClient(append(broker.ProducerOptions(), append(c.opts,
		kgo.TransactionalID(DefaultGroup+"-a"), kgo.TransactionTimeout(time.Minute), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	rec, err := wire.Encode(name(1), []schemas.Finding{{Finding: "idle/job-01/1", Revision: 1, Kind: schemas.KindIdle, Allocation: name(1)}})
	if err != nil {
		t.Fatal(err)
	}
	rec.Partition = 1
	ids, err := gap.Identify(ctx, kadm.NewClient(c.client), activityTopic())
	if err != nil {
		t.Fatal(err)
	}
	rec.Headers = append(rec.Headers, decided(3, ids[activityTopic()]))
	if err := cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
		t.Fatal(err)
	}
	die()
	cl.Close()
	stop := c.start("a")
	c.await(jobs, schemas.SeverityNotice)
	stop()
	c.exactlyOnce(jobs)
}

// What cannot be read is a dead letter, and the rest is found all the same.
func TestCorruptActivity(t *testing.T) {
	const jobs = 4
	c := newCluster(t)
	bad := &kgo.Record{Topic: activityTopic(), Partition: 1, Value: []byte("no record of ours")}
	if err := c.client.ProduceSync(t.Context(), bad).FirstErr(); err != nil {
		t.Fatal(err)
	}
	stop := c.start("a")
	for s := int64(1); s <= 12; s++ {
		c.say(s, jobs)
	}
	c.await(jobs, schemas.SeverityNotice)
	stop()
	fresh, err := kgo.NewClient(c.opts...) // the other one has seen the topic missing
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	letters, err := kadm.NewClient(fresh).ListCommittedOffsets(t.Context(), schemas.Prefix+schemas.StreamDeadLetters)
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := letters.Lookup(schemas.Prefix+schemas.StreamDeadLetters, 0); !ok || o.Offset == 0 {
		t.Errorf("there is no dead letter: %+v", letters)
	}
}

func TestPositionText(t *testing.T) {
	p := Position{From: 7, Seen: t0}
	if got, err := ParsePosition(p.String()); err != nil || got != p {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "gpumeter-detect/2 from=7", p.String() + " ", "gpumeter/1 from=7 seen=1"} {
		if _, err := ParsePosition(text); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}

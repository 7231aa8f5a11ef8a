package storage

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/sink"
)

const (
	costTopic    = schemas.Prefix + schemas.StreamCost
	samplesTopic = schemas.Prefix + schemas.StreamSamples
)

// A journal is the log of a sink in this process.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) has(parts ...string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, part := range parts {
		if !strings.Contains(j.text.String(), part) {
			return false
		}
	}
	return true
}

// A running is a sink in this process.
type running struct {
	*testing.T
	journal
	cancel context.CancelFunc
	done   chan error
	stats  chan func() sink.Stats
}

func (p *pipe) launch(cfg sink.Config) *running {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{T: p.T, cancel: cancel, done: make(chan error, 1), stats: make(chan func() sink.Stats, 1)}
	env := sink.Env{Log: slog.New(slog.NewTextHandler(&r.journal, nil)), Meter: noop.Meter{}, Ready: func(s func() sink.Stats) { r.stats <- s }}
	go func() { r.done <- sink.Run(ctx, cfg, env) }()
	p.Cleanup(cancel)
	return r
}

// stop ends it in order and in time.
func (r *running) stop() {
	r.Helper()
	began := time.Now()
	r.cancel()
	if err := <-r.done; err != nil {
		r.Errorf("the sink ended: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		r.Errorf("the sink took %v to stop", took)
	}
}

// ends waits for the error that ends it.
func (r *running) ends() error {
	r.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(time.Minute):
		r.Fatalf("the sink does not end\n%s", r.text.String())
		return nil
	}
}

// recreate deletes a topic and makes it again.
func (p *pipe) recreate(topic string) {
	p.Helper()
	if err := p.cluster.DeleteTopic(topic); err != nil {
		p.Fatal(err)
	}
	// Clients keep to the topics that they know; the new one is for new clients.
	p.client.Close()
	p.connect()
	if _, err := broker.Ensure(p.Context(), p.client, broker.DefaultLayout()); err != nil {
		p.Fatal(err)
	}
}

// one is a fact of one cell, said by name.
func one(name string) fact {
	return fact{gpu: "g", allocation: name, state: active, finality: final}
}

func TestTopicRecreatedWhileTheSinkRuns(t *testing.T) {
	for _, topic := range []string{costTopic, samplesTopic} {
		t.Run(topic, func(t *testing.T) {
			e, p := newEngine(t), newPipe(t)
			p.publish(kgo.TryCommit, p.record(one("0")), p.record(one("1")), p.samples(0))
			r := p.launch(p.sink(e.DSN(), "g", 100, 1<<20))
			p.drain("g")
			p.recreate(topic)
			p.publish(kgo.TryCommit, p.record(one("newest")), p.samples(1))
			err := r.ends()
			if err == nil || !strings.Contains(err.Error(), topic) || !strings.Contains(err.Error(), "start processors and sinks again") {
				t.Fatalf("the sink ended: %v", err)
			}
			p.run(e.DSN(), "g")
			generation := 0
			if topic == costTopic {
				generation = 1
			}
			e.want("allocation, toString(bitShiftRight(revision, 48))", "gpumeter.cost", fmt.Sprintf("newest|%d", generation))
			e.want("toString(count())", "gpumeter.samples", "8")
		})
	}
}

// The offsets that the group left are those of the former topic: the new one may
// be shorter or longer than they are. They may still be there, by a late commit, or the
// brokers have forgotten them with the topic, as Kafka does.
func TestTopicRecreatedWhileTheSinkIsDown(t *testing.T) {
	for name, c := range map[string]struct {
		records   int
		forgotten bool
	}{
		"shorter":   {1, false},
		"longer":    {12, false},
		"forgotten": {12, true},
	} {
		t.Run(name, func(t *testing.T) {
			e, p := newEngine(t), newPipe(t)
			for n := range 5 {
				p.publish(kgo.TryCommit, p.record(one(fmt.Sprint("old ", n))), p.samples(n))
			}
			p.run(e.DSN(), "g")
			left, err := p.admin.FetchOffsets(t.Context(), "g")
			if err != nil {
				t.Fatal(err)
			}
			p.recreate(costTopic)
			p.recreate(samplesTopic)
			for n := range c.records {
				p.publish(kgo.TryCommit, p.record(fact{gpu: "g", window: int64(n), allocation: "new", state: active, finality: final}), p.samples(100+n))
			}
			place := "offset 10" // behind the records and the ends of their transactions
			if c.forgotten {
				place = "offset 0"
			} else {
				p.commit("g", left.Offsets())
			}
			r := p.launch(p.sink(e.DSN(), "g", 100, 1<<20))
			p.drain("g")
			lost := (<-r.stats)().Lost
			r.stop()
			if !r.has("records are lost", "kind=recreated", "topic=gpumeter.cost", "topic=gpumeter.samples") || lost[costTopic] == 0 || lost[samplesTopic] == 0 {
				t.Errorf("nobody is told: %v\n%s", lost, r.text.String())
			}
			e.want("allocation, toString(count()), toString(max(bitShiftRight(revision, 48)))", "gpumeter.cost GROUP BY allocation", fmt.Sprintf("new|%d|1", c.records))
			e.want("toString(count())", "gpumeter.samples", fmt.Sprint(4*(5+c.records)))
			e.want("stream, place, reason", "gpumeter.dead_letters WHERE position(place, 'partition 0') > 0 AND position(detail, 'recreated') > 0 ORDER BY stream",
				"cost|topic gpumeter.cost partition 0 "+place+"|gap", "samples|topic gpumeter.samples partition 0 "+place+"|gap")

			r = p.launch(p.sink(e.DSN(), "g", 100, 1<<20))
			p.publish(kgo.TryCommit, p.samples(200))
			p.drain("g")
			r.stop()
			if r.has("records are lost") {
				t.Errorf("told again:\n%s", r.text.String())
			}
		})
	}
}

// A gap is told of though the topic stays as empty as it was made.
func TestRecreatedTopicThatIsEmptyIsToldOf(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	p.publish(kgo.TryCommit, p.samples(0))
	p.run(e.DSN(), "g")
	p.recreate(samplesTopic)
	r := p.launch(p.sink(e.DSN(), "g", 100, 1<<20))
	await(t, "the letter", func() bool { return e.stored("dead_letters_log") > 0 })
	r.stop()
	e.want("stream, reason", "gpumeter.dead_letters GROUP BY stream, reason", "samples|gap")
}

// commit sets a group's offsets, with their metadata.
func (p *pipe) commit(group string, offsets kadm.Offsets) {
	p.Helper()
	if err := p.admin.CommitAllOffsets(p.Context(), group, offsets); err != nil {
		p.Fatal(err)
	}
}

// move sets the offset of one partition of a group.
func (p *pipe) move(group, topic string, to int64) {
	p.Helper()
	left, err := p.admin.FetchOffsets(p.Context(), group)
	if err != nil {
		p.Fatal(err)
	}
	o, ok := left.Lookup(topic, 0)
	if !ok {
		p.Fatalf("group %s has no offset of %s", group, topic)
	}
	o.At = to
	offsets := kadm.Offsets{}
	offsets.Add(o.Offset)
	p.commit(group, offsets)
}

// Brokers that lost records, by an election of one that was behind, use their
// offsets again.
func TestTopicsThatAreShorterThanWhatIsStored(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	p.publish(kgo.TryCommit, p.record(one("0")), p.samples(0))
	p.run(e.DSN(), "g")

	p.move("g", samplesTopic, 1000)
	r := p.launch(p.sink(e.DSN(), "g", 100, 1<<20))
	p.publish(kgo.TryCommit, p.samples(1))
	await(t, "the alarm", func() bool { return r.has("records are lost", "kind=cut", "topic=gpumeter.samples") })
	await(t, "the samples", func() bool { return e.stored("samples_log FINAL") == 8 })
	r.stop()
	e.want("toString(count())", "gpumeter.samples", "8")

	p.move("g", costTopic, 1000)
	err := p.launch(p.sink(e.DSN(), "g", 100, 1<<20)).ends()
	if err == nil || !strings.Contains(err.Error(), "gpumeter.cost partition 0: it ends at offset 2, but group g has read to 1000") || !strings.Contains(err.Error(), "--delete --topic gpumeter.cost") {
		t.Errorf("the sink ended: %v", err)
	}
	// Once the topic is deleted nobody could say any more what happened.
	p.recreate(costTopic)
	p.run(e.DSN(), "g")
	e.want("place, toString(count)", "gpumeter.dead_letters WHERE stream = 'cost' AND position(detail, 'ends at offset 2') > 0", "topic gpumeter.cost partition 0 offset 1000|998")
}

// The fix that the error names works.
func TestTopicThatWasCutIsDeletedAndTheLedgerGoesOn(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	p.publish(kgo.TryCommit, p.record(one("0")))
	p.run(e.DSN(), "g")
	p.move("g", costTopic, 1000)
	p.recreate(costTopic)
	p.publish(kgo.TryCommit, p.record(one("newest")))
	p.run(e.DSN(), "g")
	e.want("allocation", "gpumeter.cost", "newest")
}

func TestRetentionPassedASinkThatWasDown(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	p.publish(kgo.TryCommit, p.samples(0))
	p.run(e.DSN(), "g") // offsets 0, and 1 for the end of the transaction
	for n := range 5 {
		p.publish(kgo.TryCommit, p.samples(1+n))
	}
	if err := p.cluster.DeleteRecords(samplesTopic, 0, 6); err != nil {
		t.Fatal(err)
	}
	r := p.launch(p.sink(e.DSN(), "g", 100, 1<<20))
	p.drain("g")
	lost := (<-r.stats)().Lost
	r.stop()
	if !r.has("records are lost", "kind=expired", "topic=gpumeter.samples", "offsets 2 to 5 expired") || lost[samplesTopic] != 4 {
		t.Errorf("lost %v:\n%s", lost, r.text.String())
	}
	e.want("toString(count())", "gpumeter.samples", "16") // 1, 4, 5 and 6 of the transactions
}

// While ClickHouse is away nothing is fetched beyond what memory holds, and
// retention goes on.
func TestRetentionPassedASinkThatWaited(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	x := newProxy(t, strings.TrimPrefix(e.DSN(), "clickhouse://default@"))
	r := p.launch(p.sink("clickhouse://default@"+x.address(), "g", 1, 1<<20))
	stats := <-r.stats
	p.publish(kgo.TryCommit, p.samples(0))
	p.drain("g")
	x.setAway(true)
	n := 1
	publish := func() {
		p.publish(kgo.TryCommit, p.samples(n))
		n++
	}
	publish()
	await(t, "the sink to wait", func() bool { return stats().Waiting != nil })
	for range 20 { // one batch in hand, one behind it, one fetch in the client; more than enough
		publish()
	}
	if err := p.cluster.DeleteRecords(samplesTopic, 0, p.end(samplesTopic)); err != nil {
		t.Fatal(err)
	}
	publish()
	x.setAway(false)
	p.drain("g")
	lost := stats().Lost[samplesTopic]
	r.stop()
	if lost == 0 || !r.has("records are lost", "kind=expired", "topic=gpumeter.samples") {
		t.Errorf("lost %d:\n%s", lost, r.text.String())
	}
	var shown int
	if _, err := fmt.Sscan(e.lines("SELECT count() FROM gpumeter.samples")[0], &shown); err != nil {
		t.Fatal(err)
	}
	// Each transaction has two offsets, one of them with four samples.
	if got := int64(shown)/4 + lost/2; got != int64(n) {
		t.Errorf("%d samples and %d offsets lost, of %d transactions", shown, lost, n)
	}
}

func (p *pipe) end(topic string) int64 {
	p.Helper()
	ends, err := p.admin.ListEndOffsets(p.Context(), topic)
	if err != nil {
		p.Fatal(err)
	}
	end, _ := ends.Lookup(topic, 0)
	return end.Offset
}

// A sink that is pointed back at brokers whose cost topic the ledger has left
// behind would store facts that lose.
func TestOlderCostTopicIsRefused(t *testing.T) {
	e, former, newer := newEngine(t), newPipe(t), newPipe(t)
	for _, p := range []*pipe{former, newer} {
		p.publish(kgo.TryCommit, p.record(one("x")))
		p.run(e.DSN(), "g")
	}
	err := former.launch(former.sink(e.DSN(), "g", 100, 1<<20)).ends()
	if err == nil || !strings.Contains(err.Error(), "newer cost topic (generation 1)") || !strings.Contains(err.Error(), "delete gpumeter.cost") {
		t.Errorf("the sink ended: %v", err)
	}
}

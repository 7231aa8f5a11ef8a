package failover

import (
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/deploy/kafka/kafkatest"
)

// dooms are the deaths of a relay: at each kind of request that changes the brokers,
// before it, while it is on the wire, and when only its answer is lost.
func dooms(stage string, keys []kmsg.Key, nth ...int64) (all []doom) {
	for _, n := range nth {
		for _, key := range keys {
			for _, moment := range []string{before, sent, answered} {
				all = append(all, doom{Stage: stage, Request: key, Moment: moment, Nth: n})
			}
		}
	}
	return all
}

// steps are the requests of a transaction. The second version of Kafka's protocol of
// transactions has no requests that add partitions and offsets to it.
func steps(version int) []kmsg.Key {
	keys := []kmsg.Key{kmsg.Produce, kmsg.TxnOffsetCommit, kmsg.EndTxn}
	if version == 1 {
		keys = append(keys, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn)
	}
	return keys
}

func often() []int64 {
	if kafkatest.Full() {
		return []int64{1, 2, 3}
	}
	return []int64{1}
}

// chaptersFor is how many chapters deaths take: the n-th request of its kind comes
// within n of them.
func chaptersFor(all []doom) (chapters int) {
	for _, d := range all {
		chapters += int(d.Nth)
	}
	return chapters + 2
}

// A processor dies at a step of its commit, and its successor at the next one, and so
// on. After each takeover what is published is what the oracle makes of what was said
// so far, each revision once.
func TestMeterDiesAtEachStepOfACommit(t *testing.T) {
	t.Parallel()
	meterDies(t, kafka.Options{}, dooms("meter", steps(2), often()...))
}

// The same by the first version of the protocol, which brokers before 4.0 have.
func TestMeterDiesAtEachStepOfAnOlderCommit(t *testing.T) {
	t.Parallel()
	all := dooms("meter", steps(1), often()...)
	if !kafkatest.Full() {
		all = dooms("meter", []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn}, 1)
	}
	meterDies(t, kafka.Options{Features: map[string]int{"transaction.version": 1}}, all)
}

func meterDies(t *testing.T, o kafka.Options, all []doom) {
	b := newBench(t, o)
	s := newStory(t, 31, 8, chaptersFor(all))
	at := b.relay(s, all)
	f := b.check(s, at)
	recoveries, _ := b.recoveries()
	t.Logf("%d deaths; %d chapters: %+v, %d recoveries", len(all), at+1, f, recoveries)
	if f.rollbacks == 0 || f.findings == 0 {
		t.Error("no transaction was rolled back, or nothing was found: the deaths missed")
	}
}

// relay lets a worker die each death of all. It returns the last chapter told, which
// is settled.
func (b *bench) relay(s *story, all []doom) (chapter int) {
	b.t.Helper()
	name := "runner"
	next := b.start(name, all[0])
	tick := b.tell(s, 0)
	for i, d := range all {
		b.settled(tick)
		b.check(s, chapter)
		runner := next
		runner.arm()
		for !runner.ended() {
			if chapter++; chapter >= len(s.chapters) {
				b.t.Fatalf("%+v: it never came to it", d)
			}
			tick = b.tell(s, chapter)
			await(b.t, "the worker to go on or die", func() bool { return runner.ended() || b.applied(tick) })
		}
		runner.killed()
		if i%3 == 2 {
			// Another name cannot end the open transaction of its predecessor: it
			// waits until the brokers do.
			name = fmt.Sprintf("runner-%d", i)
		}
		after := doom{}
		if i+1 < len(all) {
			after = all[i+1]
		}
		next = b.start(name, after)
	}
	b.settled(tick)
	await(b.t, "the detectors", b.detected)
	next.stop()
	return chapter
}

//go:build synctests

package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/schemas"
)

// An incident is one thing that goes wrong.
type incident struct {
	at   time.Duration // since the beginning
	kind int           // of kinds()
	dice uint64        // seed of what it draws
}

// A kind is a way in which things go wrong. do returns when it is over.
type kind struct {
	name  string
	do    func(*world, *rand.Rand)
	aimed bool // it waits for the second in which it hurts, and late events come then
}

func kinds() []kind {
	random := []kind{
		{name: "kill a processor", do: func(w *world, d *rand.Rand) { w.restart(d, "processor", (*post).kill) }},
		{name: "kill a sink", do: func(w *world, d *rand.Rand) { w.restart(d, "sink", (*post).kill) }},
		{name: "kill a collector", do: func(w *world, d *rand.Rand) { w.restart(d, "collector", (*post).kill) }},
		{name: "stop a processor", do: func(w *world, d *rand.Rand) { w.restart(d, "processor", (*post).leave) }},
		{name: "stop a collector", do: func(w *world, d *rand.Rand) { w.restart(d, "collector", (*post).leave) }},
		{name: "one more processor", do: (*world).guest},
		{name: "errors of a broker", do: (*world).errors},
		{name: "errors of a broker", do: (*world).errors},
		{name: "refused transactions", do: (*world).abort},
		{name: "lost connections", do: (*world).shake},
		{name: "slow connections", do: (*world).slow},
		{name: "a process cut off", do: (*world).cutOff},
		{name: "brokers away", do: (*world).outage},
		{name: "a partition stalled", do: (*world).stall},
		{name: "an open transaction", do: (*world).hang},
		{name: "leaders move", do: (*world).move},
		{name: "the store away", do: (*world).storeAway},
	}
	aimed := []kind{
		{name: "kill a sink that inserts", do: (*world).killInserting, aimed: true},
		{name: "kill a processor that commits", do: (*world).killCommitting, aimed: true},
		{name: "refuse what makes windows final", do: (*world).refuseFinal, aimed: true},
	}
	return slices.Concat(random, aimed, aimed, aimed)
}

// agenda draws the incidents of a run.
func agenda(cfg config) (all []incident) {
	if cfg.every == 0 {
		return nil
	}
	d := rand.New(rand.NewPCG(cfg.seed, 3))
	for at := cfg.every; at < cfg.length-cfg.every; at += time.Second + time.Duration(d.ExpFloat64()*float64(cfg.every)) {
		all = append(all, incident{at.Truncate(time.Second), d.IntN(len(kinds())), d.Uint64()})
	}
	return all
}

// disturb lets the incidents happen, each beside the others, and returns when all
// are over.
func (w *world) disturb() {
	var under sync.WaitGroup
	for _, i := range agenda(w.cfg) {
		time.Sleep(time.Until(time.UnixMilli(w.began).Add(i.at)))
		what := kinds()[i.kind]
		w.log.Info("incident", "kind", what.name)
		under.Go(func() { what.do(w, rand.New(rand.NewPCG(i.dice, 4))) })
	}
	under.Wait()
}

func upTo(d *rand.Rand, from, to time.Duration) time.Duration {
	return from + time.Duration(d.Int64N(int64(to-from)))
}

func (w *world) any(d *rand.Rand, kind string) *post {
	var some []*post
	for _, p := range w.posts {
		if kind == "" || p.kind() == kind {
			some = append(some, p)
		}
	}
	return some[d.IntN(len(some))]
}

func (w *world) restart(d *rand.Rand, kind string, end func(*post)) {
	p := w.any(d, kind)
	if p == w.spare() {
		p = w.posts[sinks] // the first processor
	}
	end(p)
	time.Sleep(upTo(d, 0, 3*time.Minute))
	p.start()
}

// spare is the post of the processor that comes and goes.
func (w *world) spare() *post { return w.posts[sinks+processors] }

func (w *world) guest(d *rand.Rand) {
	p := w.spare()
	p.start()
	time.Sleep(upTo(d, time.Minute, 20*time.Minute))
	if d.IntN(2) == 0 {
		p.kill()
	} else {
		p.leave()
	}
}

// answer is an error that brokers give to a request.
type answer struct {
	key kmsg.Key
	err *kerr.Error
}

// answers lists what real brokers say while they restart, elect and rebalance.
// REQUEST_TIMED_OUT and NOT_ENOUGH_REPLICAS_AFTER_APPEND do what was asked.
func answers() []answer {
	return []answer{
		{kmsg.Produce, kerr.NotLeaderForPartition},
		{kmsg.Produce, kerr.RequestTimedOut},
		{kmsg.Produce, kerr.NotEnoughReplicas},
		{kmsg.Produce, kerr.NotEnoughReplicasAfterAppend},
		{kmsg.Fetch, kerr.NotLeaderForPartition},
		{kmsg.Fetch, kerr.ReplicaNotAvailable},
		{kmsg.ListOffsets, kerr.NotLeaderForPartition},
		{kmsg.FindCoordinator, kerr.CoordinatorNotAvailable},
		{kmsg.JoinGroup, kerr.CoordinatorLoadInProgress},
		{kmsg.SyncGroup, kerr.RebalanceInProgress},
		{kmsg.Heartbeat, kerr.NotCoordinator},
		{kmsg.Heartbeat, kerr.UnknownMemberID},
		{kmsg.Heartbeat, kerr.RebalanceInProgress},
		{kmsg.OffsetFetch, kerr.CoordinatorLoadInProgress},
		{kmsg.OffsetFetch, kerr.UnstableOffsetCommit},
		{kmsg.OffsetCommit, kerr.RebalanceInProgress},
		{kmsg.OffsetCommit, kerr.RequestTimedOut},
		{kmsg.OffsetCommit, kerr.NotCoordinator},
		{kmsg.InitProducerID, kerr.ConcurrentTransactions},
		{kmsg.InitProducerID, kerr.CoordinatorLoadInProgress},
		{kmsg.AddPartitionsToTxn, kerr.ConcurrentTransactions},
		{kmsg.AddPartitionsToTxn, kerr.CoordinatorNotAvailable},
		{kmsg.AddOffsetsToTxn, kerr.NotCoordinator},
		{kmsg.TxnOffsetCommit, kerr.CoordinatorLoadInProgress},
		{kmsg.TxnOffsetCommit, kerr.RequestTimedOut},
		{kmsg.TxnOffsetCommit, kerr.IllegalGeneration},
		{kmsg.TxnOffsetCommit, kerr.UnknownMemberID},
		{kmsg.TxnOffsetCommit, kerr.RebalanceInProgress},
		{kmsg.EndTxn, kerr.CoordinatorNotAvailable},
		{kmsg.EndTxn, kerr.NotCoordinator},
		{kmsg.EndTxn, kerr.ConcurrentTransactions},
		{kmsg.EndTxn, kerr.TransactionAbortable},
	}
}

func (w *world) errors(d *rand.Rand) {
	a := answers()[d.IntN(len(answers()))]
	w.log.Info("errors", "key", a.key.Name(), "error", a.err.Message)
	fault := kfake.Fault{Keys: []kmsg.Key{a.key}, Err: a.err, Count: 1 + d.IntN(8), TopLevel: topLevel(a.key)}
	h := w.fake.Fault(fault)
	time.Sleep(upTo(d, 10*time.Second, 3*time.Minute))
	h.Remove()
}

// abort refuses the next few commits of the meters or of the detectors.
func (w *world) abort(d *rand.Rand) {
	group := []string{processor.DefaultConfig().Group, processor.DefaultDetect().Group}[d.IntN(2)]
	h := w.fake.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Group: group, Err: kerr.IllegalGeneration, Count: 1 + d.IntN(4)})
	time.Sleep(upTo(d, 10*time.Second, 3*time.Minute))
	h.Remove()
}

// topLevel reports whether a request is answered by one error, and not one for
// each of its partitions.
func topLevel(k kmsg.Key) bool {
	switch k {
	case kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.InitProducerID, kmsg.AddOffsetsToTxn, kmsg.EndTxn:
		return true
	}
	return false
}

// cables are those of all processes.
func (w *world) cables() (all []*cable) {
	for _, p := range w.posts {
		if c := p.cable(); c != nil {
			all = append(all, c)
		}
	}
	return all
}

func (w *world) shake(d *rand.Rand) {
	for range 1 + d.IntN(10) {
		all := w.cables()
		all[d.IntN(len(all))].shake()
		time.Sleep(upTo(d, 0, 10*time.Second))
	}
}

func (w *world) slow(d *rand.Rand) {
	all := w.cables()
	c := all[d.IntN(len(all))]
	c.slow(upTo(d, 100*time.Millisecond, 4*time.Second))
	time.Sleep(upTo(d, time.Minute, 10*time.Minute))
	c.slow(0)
}

// cutOff takes the network from one process for longer than a session, and gives it
// back.
func (w *world) cutOff(d *rand.Rand) {
	all := w.cables()
	c := all[d.IntN(len(all))]
	c.pull()
	time.Sleep(upTo(d, 5*time.Second, 5*time.Minute))
	c.mend()
}

func (w *world) outage(d *rand.Rand) {
	all := w.cables()
	for _, c := range all {
		c.pull()
	}
	time.Sleep(upTo(d, 5*time.Second, 10*time.Minute))
	for _, c := range all {
		c.mend()
	}
}

// stall keeps one partition of samples from being written for up to an hour. (That
// it cannot be read is an open transaction: a client that is told so by an error
// asks again at once, as long as it lasts.)
func (w *world) stall(d *rand.Rand) {
	h := w.fake.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.Prefix + schemas.StreamSamples, Partitions: []int32{d.Int32N(w.cfg.partitions)},
		Err: kerr.NotLeaderForPartition, Count: -1,
	})
	time.Sleep(upTo(d, time.Minute, time.Hour))
	h.Remove()
}

// hang leaves transactions open in a partition that processors read, up to four, one
// after the other, until the brokers abort them: readers of committed records stop in
// front of each.
func (w *world) hang(d *rand.Rand) {
	streams := schemas.Streams()
	s := streams[d.IntN(len(streams))]
	if d.IntN(2) == 0 {
		s = streams[0] // samples
	}
	n := int32(0)
	if s.Partitioned {
		n = d.Int32N(w.cfg.partitions)
	}
	for range 1 + d.IntN(4) {
		lasts := upTo(d, 10*time.Second, 15*time.Minute)
		c := newCable(w.network)
		cl, err := kgo.NewClient(append(w.options(c), kgo.TransactionalID(fmt.Sprintf("stranger-%x", d.Uint64())),
			kgo.TransactionTimeout(lasts), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		w.must(err)
		w.must(cl.BeginTransaction())
		cl.Produce(w.t.Context(), &kgo.Record{Topic: s.Topic(), Partition: n, Value: []byte("never committed")}, nil)
		if err := cl.Flush(w.t.Context()); err != nil {
			w.log.Info("a stranger's record", "error", err)
		}
		c.pull()
		cl.Close()
		time.Sleep(lasts)
	}
}

func (w *world) move(d *rand.Rand) {
	for range 1 + d.IntN(20) {
		streams := schemas.Streams()
		s := streams[d.IntN(len(streams))]
		n := int32(0)
		if s.Partitioned {
			n = d.Int32N(w.cfg.partitions)
		}
		w.must(w.fake.MoveTopicPartition(s.Topic(), n, d.Int32N(3)))
		time.Sleep(upTo(d, 0, 5*time.Second))
	}
	w.fake.RehashCoordinators()
}

func (w *world) storeAway(d *rand.Rand) {
	w.store.set(d.IntN(2) == 0, true)
	time.Sleep(upTo(d, time.Second, 30*time.Minute))
	w.store.set(false, false)
}

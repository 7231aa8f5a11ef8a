package meter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

func TestMain(m *testing.M) {
	if at := os.Getenv(victimBrokers); at != "" {
		os.Exit(victim(at))
	}
	goleak.VerifyTestMain(m)
}

const testPartitions = 4

// A cluster is a broker in memory with the project's topics, and a client of it
// that survives every member.
type cluster struct {
	t    *testing.T
	fake *kfake.Cluster
	cl   *kgo.Client
	adm  *kadm.Client
	enc  wire.SampleEncoder
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, fake: fake}
	t.Cleanup(fake.Close)
	makes, err := kgo.NewClient(c.options()...)
	if err != nil {
		t.Fatal(err)
	}
	defer makes.Close() // it has seen the topics missing, and believes so for a while
	if _, err := broker.Ensure(t.Context(), makes, layout()); err != nil {
		t.Fatal(err)
	}
	if c.cl, err = kgo.NewClient(append(broker.ProducerOptions(), c.options()...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.cl.Close)
	c.adm = kadm.NewClient(c.cl)
	return c
}

func layout() broker.Layout { return broker.Layout{Partitions: testPartitions, Replication: 1} }

func (c *cluster) options() []kgo.Opt {
	opts, err := broker.Config{Brokers: c.fake.ListenAddrs()}.Options("test")
	if err != nil {
		c.t.Fatal(err)
	}
	return opts
}

// config is a meter's, in a hurry.
func (c *cluster) config(instance string, more ...kgo.Opt) Config {
	return configOf(c.options(), instance, more...)
}

func configOf(options []kgo.Opt, instance string, more ...kgo.Opt) Config {
	quick := []kgo.Opt{
		kgo.HeartbeatInterval(50 * time.Millisecond),
		kgo.MetadataMinAge(10 * time.Millisecond), kgo.FetchMaxWait(50 * time.Millisecond),
	}
	return Config{
		Client: append(append(options, quick...), more...), Topics: layout(), Instance: instance,
		Engine: engine.Config{Window: 60_000, Grace: 30_000}, NewEngine: newLedger,
		Every: 20 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
	}
}

// A running meter is a member of the group.
type running struct {
	*Meter
	t      *testing.T
	cancel context.CancelFunc
	done   chan error
	ended  sync.Once
	err    error
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	return startInSteps(t, cfg, stepCells)
}

// startInSteps starts a member whose turns recompute so many cells of what reaches
// back far.
func startInSteps(t *testing.T, cfg Config, step int64) *running {
	t.Helper()
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.step = step
	return run(t, m)
}

func run(t *testing.T, m *Meter) *running {
	m.stopWithin, m.rebuildRows = time.Second, 20
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Meter: m, t: t, cancel: cancel, done: make(chan error, 1)}
	go func() { r.done <- m.Run(ctx) }()
	t.Cleanup(func() { _ = r.end() })
	return r
}

// end stops the member and waits for it.
func (r *running) end() error {
	r.ended.Do(func() {
		r.cancel()
		select {
		case r.err = <-r.done:
		case <-time.After(20 * time.Second):
			buf := make([]byte, 1<<20)
			r.t.Errorf("the meter does not stop: %s", buf[:runtime.Stack(buf, true)])
		}
	})
	return r.err
}

// stop ends the member gracefully: in less than 10 s, without error.
func (r *running) stop() {
	r.t.Helper()
	began := time.Now()
	if err := r.end(); err != nil {
		r.t.Fatalf("stop: %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		r.t.Fatalf("stop took %v", took)
	}
}

// failed waits for the member to end by itself.
func (r *running) failed() error {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.ended.Do(func() { r.err = err })
		return err
	case <-time.After(20 * time.Second):
		r.t.Fatal("the meter goes on")
		return nil
	}
}

// A cable is a network connection that can be cut: what a kill -9 looks like to
// the broker.
type cable struct {
	mu    sync.Mutex
	conns []net.Conn
	cut   bool
}

// errCut is what the network says of it: a client tells it from what a broker says.
var errCut error = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("the cable is cut")}

// options make a client use the cable. When it is cut, the group soon forgets the
// member, and the broker ends the transaction that it leaves open.
func (c *cable) options() []kgo.Opt {
	return []kgo.Opt{kgo.SessionTimeout(time.Second), kgo.TransactionTimeout(1500 * time.Millisecond), c.dialer()}
}

func (c *cable) dialer() kgo.Opt {
	return kgo.Dialer(func(ctx context.Context, network, host string) (net.Conn, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.cut {
			return nil, errCut
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, host)
		if err == nil {
			c.conns = append(c.conns, conn)
		}
		return conn, err
	})
}

// mend makes new connections possible.
func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = false
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// await polls until ok, for what the broker tells nobody by itself.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("timed out waiting for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// put produces a record and returns where it landed.
func (c *cluster) put(rec *kgo.Record, err error) *kgo.Record {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	out, err := c.cl.ProduceSync(c.t.Context(), rec).First()
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// rows produces rows of a reference stream.
func rows[T wire.Row](c *cluster, rows ...T) *kgo.Record {
	c.t.Helper()
	return c.put(wire.Encode("", rows))
}

// produce publishes a batch of samples.
func (c *cluster) produce(b *schemas.Samples) *kgo.Record {
	c.t.Helper()
	return c.put(c.enc.Encode(b))
}

func samplesAt(node, gpu string, ts ...int64) *schemas.Samples {
	b := &schemas.Samples{Node: node, Series: []schemas.Series{{GPU: gpu, Interval: 1000, MemoryTotal: schemas.Absent64}}}
	for _, t := range ts {
		b.Index, b.TS = append(b.Index, 0), append(b.TS, t)
		b.Utilization, b.SMActive = append(b.Utilization, 500_000), append(b.SMActive, schemas.Absent32)
		b.TensorActive, b.DRAMActive = append(b.TensorActive, schemas.Absent32), append(b.DRAMActive, schemas.Absent32)
		b.MemoryUsed, b.Power = append(b.MemoryUsed, 1<<30), append(b.Power, schemas.Absent32)
		b.Energy, b.Temperature = append(b.Energy, schemas.Absent64), append(b.Temperature, schemas.Absent16)
	}
	return b
}

// positions reads what the group has committed, by partition.
func (c *cluster) positions() map[int32]state {
	c.t.Helper()
	all, err := c.adm.FetchOffsets(c.t.Context(), defaultGroup)
	if err != nil {
		return nil // the group does not exist yet
	}
	var owned []int32
	for n := range int32(testPartitions) {
		owned = append(owned, n)
	}
	states, err := statesOf(all, owned)
	if err != nil {
		c.t.Fatal(err)
	}
	return states
}

// settled waits until every partition has committed the tick at this offset.
func (c *cluster) settled(tick *kgo.Record) {
	c.t.Helper()
	await(c.t, fmt.Sprintf("tick %d on every partition", tick.Offset), func() bool { return c.applied(tick) })
}

// applied reports whether every partition has committed the tick.
func (c *cluster) applied(tick *kgo.Record) bool {
	c.t.Helper()
	states := c.positions()
	for _, st := range states {
		if st.position.Applied <= tick.Offset {
			return false
		}
	}
	return len(states) == testPartitions
}

// stableEnds lists where a topic ends once no transaction is open in it: the
// broker ends those of the dead.
func stableEnds(t *testing.T, adm *kadm.Client, topic string) kadm.ListedOffsets {
	t.Helper()
	var ends kadm.ListedOffsets
	await(t, "open transactions to end", func() bool {
		committed, err1 := adm.ListCommittedOffsets(t.Context(), topic)
		all, err2 := adm.ListEndOffsets(t.Context(), topic)
		if err := errors.Join(err1, err2, committed.Error(), all.Error()); err != nil {
			t.Fatal(err)
		}
		ends = all
		return maps.EqualFunc(committed[topic], all[topic], func(a, b kadm.ListedOffset) bool { return a.Offset == b.Offset })
	})
	return ends
}

// readAll reads the committed records of a topic.
func (c *cluster) readAll(stream string) []*kgo.Record {
	c.t.Helper()
	topic := schemas.Prefix + stream
	cl, err := kgo.NewClient(append(c.options(), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.FetchMaxWait(20*time.Millisecond))...)
	if err != nil {
		c.t.Fatal(err)
	}
	defer cl.Close()
	ends := stableEnds(c.t, kadm.NewClient(cl), topic)
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	var recs []*kgo.Record
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			c.t.Fatalf("reading %s: %v, left %v", topic, err, left)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if rec.Offset+1 >= left[rec.Partition] {
				delete(left, rec.Partition)
			}
			if !rec.Attrs.IsControl() {
				recs = append(recs, rec)
			}
		})
	}
	return recs
}

// revisions are all values of every cell, in order. It fails the test where a
// cell was published in another partition than its node's.
func (c *cluster) revisions() map[cellKey][]cellValue {
	c.t.Helper()
	var dec wire.CostDecoder
	cells := map[cellKey][]cellValue{}
	for _, rec := range c.readAll(schemas.StreamCost) {
		var costs schemas.Costs
		if err := dec.Decode(&costs, rec); err != nil {
			c.t.Fatalf("%s: %v", placeOf(rec), err)
		}
		for k, v := range cellsOf(&costs) {
			if !keyed(rec.Partition, testPartitions)(k.node) {
				c.t.Errorf("%s: cell of node %s, which is another partition's", placeOf(rec), k.node)
			}
			cells[k] = append(cells[k], v)
		}
	}
	return cells
}

// published is the newest revision of every cell. It fails the test where one
// was published twice alike.
func (c *cluster) published() map[cellKey]cellValue {
	c.t.Helper()
	newest := map[cellKey]cellValue{}
	for k, all := range c.revisions() {
		if twice := slices.Compact(slices.Clone(all)); len(twice) != len(all) {
			c.t.Errorf("cell %v was published twice alike: %v", k, all)
		}
		newest[k] = all[len(all)-1]
	}
	return newest
}

// letters are the dead letters.
func (c *cluster) letters() []schemas.DeadLetter {
	c.t.Helper()
	var letters []schemas.DeadLetter
	for _, rec := range c.readAll(schemas.StreamDeadLetters) {
		var err error
		if letters, err = wire.Decode(letters, rec); err != nil {
			c.t.Fatal(err)
		}
	}
	return letters
}

package publish

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/contract"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A way is between clients and brokers, and can be cut.
type way struct {
	net.Listener
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

func (w *way) Accept() (net.Conn, error) {
	conn, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		_ = conn.Close()
	}
	w.conns = append(w.conns, conn)
	return conn, nil
}

func (w *way) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	if cut {
		for _, c := range w.conns {
			_ = c.Close()
		}
		w.conns = nil
	}
}

// A rig is a broker that can be away, and the directory of a spool.
type rig struct {
	*testing.T
	cluster *kfake.Cluster
	way     *way
	cfg     SpoolConfig
	opts    []kgo.Opt
	meter   metric.Meter
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{T: t, way: &way{}, cfg: DefaultSpool(), meter: noop.Meter{}}
	var err error
	r.cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		r.way.Listener = l
		return r.way, err
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.cluster.Close)
	if r.opts, err = (broker.Config{Brokers: r.cluster.ListenAddrs()}).Options("test"); err != nil {
		t.Fatal(err)
	}
	r.opts = append(r.opts, broker.ProducerOptions()...)
	r.cfg.Disk.Dir = filepath.Join(t.TempDir(), "spool")
	r.cfg.Disk.Sync, r.cfg.After = 10*time.Millisecond, 100*time.Millisecond
	return r
}

// A run is a Publisher with a spool in a rig.
type run struct {
	*Publisher
	rig  *rig
	stop context.CancelFunc
	end  context.CancelFunc
}

func (r *rig) start(cfg Config) *run {
	r.Helper()
	client, err := kgo.NewClient(append(SpooledOptions(), r.opts...)...)
	if err != nil {
		r.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	stopping, stop := context.WithCancel(context.Background())
	p, err := NewSpooled(life, client, cfg, Spooling{
		Config: r.cfg, Stopping: stopping.Done(), Log: slog.New(slog.DiscardHandler),
		Backlog: func() (*kgo.Client, error) { return kgo.NewClient(r.opts...) },
		Topics: func(ctx context.Context) error {
			_, err := broker.Ensure(ctx, client, broker.Layout{Partitions: 2, Replication: 1})
			return err
		},
	}, r.meter, time.UnixMilli(at))
	if err != nil {
		r.Fatal(err)
	}
	run := &run{p, r, stop, sync.OnceFunc(func() {
		end()
		if err := p.Close(); err != nil {
			r.Error(err)
		}
		client.Close()
	})}
	r.Cleanup(func() { stop(); run.end() })
	return run
}

// finish stops a run as a collector does.
func (r *run) finish() Stats {
	r.rig.Helper()
	r.stop()
	if err := r.Flush(context.Background()); err != nil {
		r.rig.Error(err)
	}
	r.end()
	s := r.Stats()
	r.rig.balance(s)
	return s
}

// balance: nothing is unaccounted for, at rest.
func (r *rig) balance(s Stats) {
	r.Helper()
	for stream, c := range s.Streams {
		if c.Rows+c.Carried != c.Acknowledged+c.Spooled+c.Dropped+c.Damaged+c.Refused {
			r.Errorf("%s does not add up: %+v", stream, c)
		}
	}
}

// await waits until the counts of samples are as wanted.
func (r *run) await(what string, ok func(StreamStats) bool) {
	r.rig.Helper()
	deadline := time.After(time.Minute)
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for !ok(r.Stats().Streams[schemas.StreamSamples]) {
		select {
		case <-look.C:
		case <-deadline:
			r.rig.Fatalf("waited a minute for %s: %+v", what, r.Stats().Streams)
		}
	}
}

// samples publishes rows, each with a time of its own.
func (r *run) samples(from, to int) {
	r.rig.Helper()
	for i := from; i < to; i++ {
		if err := r.Sample(&contract.Sample{Node: fmt.Sprintf("n%d", i%7), TS: at + int64(i), Series: schemas.Series{GPU: "g0"}}); err != nil {
			r.rig.Fatal(err)
		}
	}
}

// arrived lists the times of the samples that are in Kafka, each once, and how
// many there are with repeats.
func (r *rig) arrived() (once []int, all int) {
	r.Helper()
	client, err := kgo.NewClient(append(slices.Clone(r.opts), kgo.ConsumeTopics(schemas.Prefix+schemas.StreamSamples))...)
	if err != nil {
		r.Fatal(err)
	}
	defer client.Close()
	ends := int64(0)
	for p := range int32(2) {
		ends += r.cluster.PartitionInfo(schemas.Prefix+schemas.StreamSamples, p).HighWatermark
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Minute)
	defer cancel()
	seen := map[int]bool{}
	var d wire.SampleDecoder
	var s schemas.Samples
	for got := int64(0); got < ends; {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			r.Fatal(err)
		}
		for _, rec := range fetches.Records() {
			if err := d.Decode(&s, rec); err != nil {
				r.Fatal(err)
			}
			for _, ts := range s.TS {
				seen[int(ts-at)] = true
				all++
			}
			got++
		}
	}
	return slices.Sorted(maps.Keys(seen)), all
}

// complete: the samples 0 to n are in Kafka.
func (r *rig) complete(n int) {
	r.Helper()
	once, all := r.arrived()
	if len(once) != n || n > 0 && once[n-1] != n-1 {
		r.Errorf("%d of %d samples arrived (%d with repeats)", len(once), n, all)
	}
}

// TestAnOutage: what comes while the brokers are away is on the disk at once, the
// source is not held up, and everything is in Kafka when they are back.
func TestAnOutage(t *testing.T) {
	r := newRig(t)
	p := r.start(slow(1, 10))
	p.await("the topics", func(StreamStats) bool { return p.carrier.(*spooled).isReady() })
	p.samples(0, 100)
	p.await("all to be acknowledged", func(s StreamStats) bool { return s.Acknowledged == 100 })
	r.way.set(true)
	p.samples(100, 200)
	p.await("what was on its way to be on the disk", func(s StreamStats) bool { return s.Spooled == 100 })
	began := time.Now()
	p.samples(200, 3000)
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("the source was held up for %v", d)
	}
	if s := p.Stats().Streams["samples"]; s.Spooled != 2900 || s.Acknowledged != 100 {
		t.Errorf("%+v, want everything since the cut in the spool", s)
	}
	r.way.set(false)
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := p.Stats().Streams["samples"]; s.Acknowledged != 3000 || s.Spooled != 0 || s.Dropped != 0 {
		t.Errorf("%+v, want everything acknowledged", s)
	}
	p.finish()
	r.complete(3000)
}

// A record whose time is up is given back soon after, however long the brokers have
// been away.
func TestCalledOffInTime(t *testing.T) {
	r := newRig(t)
	client, err := kgo.NewClient(slices.Concat(SpooledOptions(), r.opts)...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := broker.Ensure(t.Context(), client, broker.Layout{Partitions: 2, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	r.way.set(true)
	fastest := time.Hour
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		began, done := time.Now(), make(chan error, 1)
		client.Produce(ctx, &kgo.Record{Topic: schemas.Prefix + schemas.StreamSamples, Key: []byte("n1")}, func(_ *kgo.Record, err error) { done <- err })
		if err := <-done; err == nil {
			t.Fatal("sent to brokers that are away")
		}
		cancel()
		fastest = min(fastest, time.Since(began))
	}
	if fastest > 3*time.Second { // 5 s without the options
		t.Errorf("given back after %v at the soonest", fastest)
	}
}

// TestBrokersThatHangUp close each connection before they have said anything, as
// those do that are just going down: the client gives the records up that it has.
func TestBrokersThatHangUp(t *testing.T) {
	r := newRig(t)
	p := r.start(slow(1, 10))
	p.await("the topics", func(StreamStats) bool { return p.carrier.(*spooled).isReady() })
	r.way.set(true)
	p.samples(0, 100)
	p.await("everything to be on the disk", func(s StreamStats) bool { return s.Spooled == 100 })
	hangUp(r.cluster)
	r.way.set(false)
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.finish()
	r.complete(100)
}

// Without a spool there is nothing else than the client's patience.
func TestBrokersThatHangUpOnADirectPublisher(t *testing.T) {
	cluster, _ := connect(t)
	opts, err := broker.Config{Brokers: cluster.ListenAddrs()}.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(slices.Concat(opts, broker.ProducerOptions(), DirectOptions())...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	hangUp(cluster)
	p := publisher(t, client, slow(1, 10))
	if err := errors.Join(p.Sample(sample("n1")), p.Flush(t.Context())); err != nil {
		t.Error(err)
	}
}

// hangUp lets the broker end the next connections before it has said anything, from
// when it was asked for its topics.
func hangUp(cluster *kfake.Cluster) {
	known, calls := make(chan struct{}), 0
	asked := sync.OnceFunc(func() { close(known) })
	cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
		asked()
		return nil, nil, false
	})
	cluster.ControlKey(int16(kmsg.ApiVersions), func(kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		select {
		case <-known: // so that it is not about the topics
			calls++
		default:
		}
		return nil, errors.New("hung up"), 0 < calls && calls < 4
	})
}

// TestBrokersThatHang answer no longer, but keep their connections.
func TestBrokersThatHang(t *testing.T) {
	r := newRig(t)
	p := r.start(slow(1, 10))
	p.await("the topics", func(StreamStats) bool { return p.carrier.(*spooled).isReady() })
	hang, wakeUp := context.WithCancel(t.Context())
	defer wakeUp()
	r.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		if hang.Err() == nil {
			r.cluster.SleepControl(func() { <-hang.Done() })
			return nil, errors.New("gone"), true
		}
		return nil, nil, false
	})
	p.samples(0, 100)
	p.await("what hangs to be on the disk", func(s StreamStats) bool { return s.Spooled == 100 })
	wakeUp()
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.finish()
	r.complete(100)
}

func TestTheSpoolIsMeasured(t *testing.T) {
	r := newRig(t)
	reader := sdkmetric.NewManualReader()
	r.meter = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)).Meter("test")
	r.way.set(true)
	p := r.start(slow(1, 10))
	p.samples(0, 10)
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Gauge[int64]:
			for _, point := range d.DataPoints {
				got[m.Name] += point.Value
			}
		case metricdata.Sum[int64]:
			for _, point := range d.DataPoints {
				got[m.Name] += point.Value
			}
		}
	}
	want := map[string]int64{
		"gpumeter.collector.rows": 10, "gpumeter.collector.rows.acknowledged": 0, "gpumeter.collector.batches": 0, "gpumeter.collector.bytes": 0,
		"gpumeter.collector.spool.rows": 10, "gpumeter.collector.spool.bytes": p.carrier.(*spooled).spool.Bytes(), "gpumeter.collector.brokers.away": 1,
		"gpumeter.collector.spool.dropped": 0, "gpumeter.collector.spool.damaged": 0, "gpumeter.collector.spool.faults": 0,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// TestStopsWhileTheBrokersAreAway: each run keeps what it accepted, the last one
// sends all of it. The sums hold over all of them.
func TestStopsWhileTheBrokersAreAway(t *testing.T) {
	r := newRig(t)
	r.way.set(true)
	var rows int64
	for i := range 3 {
		p := r.start(slow(5, 50))
		p.samples(100*i, 100*i+100)
		s := p.finish().Streams["samples"]
		if rows += s.Rows; s.Rows != 100 || s.Spooled != rows || s.Carried != rows-100 {
			t.Fatalf("run %d: %+v, want %d rows in the spool", i, s, rows)
		}
	}
	r.way.set(false)
	p := r.start(slow(5, 50))
	p.samples(300, 310)
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s := p.finish().Streams["samples"]; s.Acknowledged != 310 {
		t.Errorf("%+v, want everything acknowledged", s)
	}
	r.complete(310)
}

// TestCatchingUpDelaysNothing: brokers that take so much and no more, a backlog,
// and live samples, each of which is there within a second.
func TestCatchingUpDelaysNothing(t *testing.T) {
	const bytesPerSecond = 200_000
	r := newRig(t)
	r.cfg.After = 5 * time.Second // nothing live may go by the spool
	r.way.set(true)
	p := r.start(Config{Rows: 1000, Wait: 50 * time.Millisecond, Buffer: 5000})
	const backlog = 200
	for range backlog { // texts that cannot be compressed away
		letter := schemas.DeadLetter{Stream: "samples", Place: "x", Reason: schemas.ReasonBadJSON, Payload: noise(4000), Count: 1}
		if err := p.DeadLetter(letter); err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		_ = p.sendOlder(time.Time{})
		p.mu.Unlock()
	}
	r.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		size := len(req.AppendTo(nil))
		time.Sleep(time.Duration(size) * time.Second / bytesPerSecond) // it is what is simulated: the brokers do nothing else meanwhile
		return nil, nil, false
	})
	r.way.set(false)
	p.await("the brokers", func(StreamStats) bool { return p.carrier.(*spooled).isReady() })
	live, late, worst := 0, 0, time.Duration(0)
	for p.Stats().Streams["dead_letters"].Spooled > 0 {
		began := time.Now()
		p.samples(live, live+10)
		live += 10
		p.await("a live sample", func(s StreamStats) bool { return s.Acknowledged == int64(live) })
		took := time.Since(began)
		if worst = max(worst, took); took > time.Second {
			late += 10
		}
	}
	s := p.finish()
	if s.Streams["dead_letters"].Acknowledged != backlog || s.Streams["samples"].Acknowledged != int64(live) || live < 50 {
		t.Errorf("%d live samples, %+v", live, s.Streams)
	}
	t.Logf("%d live samples beside a backlog of %d kB, none was there later than %v", live, backlog*4, worst.Round(time.Millisecond))
	if late > live/50 { // the machine has other work as well
		t.Errorf("%d of %d live samples were there later than a second, one after %v", late, live, worst)
	}
}

// noise is bytes that do not compress.
func noise(n int) []byte {
	b := make([]byte, 0, n)
	for x := uint64(1); len(b) < n; x++ {
		z := x * 0x9e3779b97f4a7c15
		b = binary.LittleEndian.AppendUint64(b, (z^(z>>29))*0xbf58476d1ce4e5b9)
	}
	return b[:n]
}

// refusing answers each produce request for a topic, and for no other, with an error.
func (r *rig) refusing(topic string, with *kerr.Error) {
	r.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		produce := req.(*kmsg.ProduceRequest)
		resp := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range produce.Topics {
			if t.Topic != topic && r.cluster.TopicInfo(topic).TopicID != t.TopicID {
				return nil, nil, false
			}
			answer := kmsg.NewProduceResponseTopic()
			answer.Topic, answer.TopicID = t.Topic, t.TopicID
			for _, part := range t.Partitions {
				p := kmsg.NewProduceResponseTopicPartition()
				p.Partition, p.ErrorCode = part.Partition, with.Code
				answer.Partitions = append(answer.Partitions, p)
			}
			resp.Topics = append(resp.Topics, answer)
		}
		return resp, nil, true
	})
}

// TestARefusedRecordIsADeadLetter: it does not hold up the others, whether it went
// directly or by the spool.
func TestARefusedRecordIsADeadLetter(t *testing.T) {
	for _, away := range []bool{false, true} {
		r := newRig(t)
		r.way.set(away)
		p := r.start(slow(1, 10))
		if !away {
			p.await("the topics", func(StreamStats) bool { return p.carrier.(*spooled).isReady() })
		}
		r.refusing(schemas.Prefix+schemas.StreamTags, kerr.MessageTooLarge)
		if err := p.Tag(schemas.Tag{Match: "user=a", Set: "team=b", From: 1}); err != nil {
			t.Fatal(err)
		}
		if !away { // one request for both would be let through
			p.await("the refusal", func(StreamStats) bool { return p.Stats().Streams["tags"].Refused == 1 })
		}
		p.samples(0, 10)
		r.way.set(false)
		if err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := p.finish()
		if s.Streams["tags"].Refused != 1 || s.Streams["dead_letters"].Acknowledged != 1 || s.DeadLetters[schemas.ReasonRefused] != 1 {
			t.Errorf("away %v: %+v", away, s)
		}
		r.complete(10)
	}
}

// TestWhatOnlyAPersonCanMendStops: the Publisher fails, and what it accepted is in
// the spool for the run after it is mended.
func TestWhatOnlyAPersonCanMendStops(t *testing.T) {
	r := newRig(t)
	p := r.start(slow(1, 10))
	p.await("the topics", func(StreamStats) bool { return p.carrier.(*spooled).isReady() })
	r.refusing(schemas.Prefix+schemas.StreamSamples, kerr.TopicAuthorizationFailed)
	p.samples(0, 1)
	if err := p.Flush(t.Context()); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("flush gives %v", err)
	}
	if err := p.Sample(sample("n1")); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("the next row gives %v", err)
	}
	p.end()
	s := p.Stats()
	if r.balance(s); s.Streams["samples"].Spooled != 1 {
		t.Errorf("%+v, want one row in the spool", s.Streams)
	}
}

func TestPackIsReversed(t *testing.T) {
	for _, r := range []*kgo.Record{
		{Topic: "gpumeter.samples", Value: []byte("v")},
		{Topic: "gpumeter.samples", Key: []byte("k"), Value: []byte(strings.Repeat("v", 300)), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{}}}},
	} {
		packed := parcel{r, "samples", 3}.pack()
		p, err := unpack("samples", 3, packed)
		if err != nil || p.rows != 3 || p.record.Topic != r.Topic || string(p.record.Key) != string(r.Key) || string(p.record.Value) != string(r.Value) || fmt.Sprint(p.record.Headers) != fmt.Sprint(r.Headers) {
			t.Errorf("%+v (%v)", p.record, err)
		}
		whole := len(packed) - len(r.Value)
		for n := range whole {
			if _, err := unpack("samples", 3, packed[:n]); err == nil {
				t.Errorf("%d of %d bytes are taken", n, whole)
			}
		}
	}
}

func TestPace(t *testing.T) {
	p := pace{firstChunk}
	for range 20 {
		if rest := p.took(time.Millisecond); rest != time.Millisecond {
			t.Fatalf("rests %v", rest)
		}
	}
	if p.bytes != mostChunk {
		t.Errorf("quick brokers get %d bytes at a time", p.bytes)
	}
	if rest := p.took(time.Hour); rest != longRest || p.bytes != mostChunk/2 {
		t.Errorf("after an outage it rests %v, then sends %d", rest, p.bytes)
	}
	for range 20 {
		p.took(time.Second)
	}
	if p.bytes != leastChunk {
		t.Errorf("slow brokers get %d bytes at a time", p.bytes)
	}
}

func (s *spooled) isReady() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready
}

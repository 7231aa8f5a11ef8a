package backlog

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/deploy/cells"
	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

const (
	partitions = 4
	group      = "gpumeter-processor"
	patience   = 10 * time.Minute
)

// A bench is an embedded broker and a client of it.
type bench struct {
	t      *testing.T
	opts   []kgo.Opt
	config broker.Config
	client *kgo.Client
	admin  *kadm.Client
	failed kgo.FirstErrPromise
}

func newBench(t *testing.T) *bench {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	b := &bench{t: t, config: broker.Config{Brokers: cluster.ListenAddrs()}}
	if b.opts, err = b.config.Options("test"); err != nil {
		t.Fatal(err)
	}
	makes, err := kgo.NewClient(b.opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer makes.Close() // it has seen the topics missing, and believes so for a while
	if _, err := broker.Ensure(t.Context(), makes, broker.Layout{Partitions: partitions, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	if b.client, err = kgo.NewClient(append(broker.ProducerOptions(), b.opts...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.Close)
	b.admin = kadm.NewClient(b.client)
	return b
}

func instant(ms int64) time.Time { return time.UnixMilli(ms) }

// know publishes what is known of a fleet from the start.
func (b *bench) know(f *fleet) {
	b.t.Helper()
	resources, price := f.known()
	for some := range slices.Chunk(resources, 100) {
		rec, err := wire.Encode("", some)
		b.produce(rec, err, f.begin)
	}
	rec, err := wire.Encode("", []schemas.Price{price})
	b.produce(rec, err, f.begin)
	b.flush()
}

func (b *bench) flush() {
	b.t.Helper()
	if err := b.client.Flush(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.failed.Err(); err != nil {
		b.t.Fatal(err)
	}
}

// A child is a processor.
type child struct {
	*exec.Cmd
	t   *testing.T
	log said
}

// said keeps what a process says.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// binary builds the processor as it is installed.
func binary(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gpumeter-processor")
	if text, err := exec.Command("go", "build", "-o", path, "github.com/gpumeter/gpumeter/processor/cmd/gpumeter-processor").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, text)
	}
	return path
}

// start starts a processor with some settings.
func (b *bench) start(binary string, settings ...string) *child {
	b.t.Helper()
	c := &child{t: b.t, Cmd: exec.Command(binary)}
	settings = append([]string{
		"brokers=" + strings.Join(b.config.Brokers, ","), fmt.Sprintf("partitions=%d", partitions), "replication=1", "instance=" + filepath.Base(b.t.TempDir()), "http.listen=127.0.0.1:0",
	}, settings...)
	for _, s := range settings {
		c.Args = append(c.Args, "--set", s)
	}
	c.Stderr = &c.log
	if err := c.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		if b.t.Failed() {
			b.t.Logf("it said:\n%s", tail(c.log.String()))
		}
	})
	return c
}

func tail(text string) string { return text[max(0, len(text)-3000):] }

// stop ends it in order.
func (c *child) stop() {
	c.t.Helper()
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		c.t.Fatalf("the processor ended: %v", err)
	}
}

// ready asks it whether it is of use.
func (c *child) ready() (code int, why string) {
	c.t.Helper()
	_, address, ok := strings.Cut(c.log.String(), "address=")
	if !ok {
		return 0, "not listening yet"
	}
	address, _, _ = strings.Cut(address, "\n")
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, address+"/readyz", http.NoBody)
	if err != nil {
		c.t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// computed is the CPU time that it has taken, once it has ended.
func (c *child) computed() time.Duration {
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

// peak is the most that it has had in RAM so far [bytes].
func (c *child) peak() int64 {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	c.t.Fatal("there is no VmHWM")
	return 0
}

// lag is how many records of samples the group has not committed.
func (b *bench) lag() (records int64) {
	b.t.Helper()
	ends, err := b.admin.ListEndOffsets(b.t.Context(), schemas.Prefix+schemas.StreamSamples)
	if err != nil {
		b.t.Fatal(err)
	}
	committed, err := b.admin.FetchOffsets(b.t.Context(), group)
	if err != nil {
		return -1 // there is no group yet
	}
	ends.Each(func(o kadm.ListedOffset) {
		records += o.Offset
		if at, ok := committed.Lookup(o.Topic, o.Partition); ok {
			records -= at.At
		}
	})
	return records
}

// await polls until ok.
func (b *bench) await(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("timed out waiting for %s: lag %d", what, b.lag())
		}
	}
}

// finish publishes the tick that ends everything, and waits until it is applied.
func (b *bench) finish(horizon int64) {
	b.t.Helper()
	rec, err := wire.Encode("", []schemas.Tick{{Horizon: horizon, Final: true}})
	if err != nil {
		b.t.Fatal(err)
	}
	if rec, err = b.client.ProduceSync(b.t.Context(), rec).First(); err != nil {
		b.t.Fatal(err)
	}
	b.await("the last tick", func() bool {
		committed, err := b.admin.FetchOffsets(b.t.Context(), group)
		if err != nil {
			return false
		}
		for n := range int32(partitions) {
			o, _ := committed.Lookup(schemas.Prefix+schemas.StreamSamples, n)
			if p, err := meter.ParsePosition(o.Metadata); err != nil || p.Applied <= rec.Offset {
				return false
			}
		}
		return true
	})
}

// published are the rows that stand before an instant, and how many revisions of a
// cell came twice alike.
func (b *bench) published(before int64) (rows []oracle.Row, repeated int) {
	b.t.Helper()
	topic := schemas.Prefix + schemas.StreamCost
	ends, err := b.admin.ListCommittedOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	reader, err := kgo.NewClient(append(append(broker.ConsumerOptions(), b.opts...), kgo.ConsumeTopics(topic), kgo.KeepControlRecords())...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer reader.Close()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	ledger := cells.New()
	var decoder wire.CostDecoder
	var costs schemas.Costs
	for len(left) > 0 {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			b.t.Fatal(err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			if rec.Offset+1 >= left[rec.Partition] {
				delete(left, rec.Partition)
			}
			if rec.Attrs.IsControl() {
				return
			}
			if err := decoder.Decode(&costs, rec); err != nil {
				b.t.Fatal(err)
			}
			ledger.Costs(&costs)
		})
	}
	return until(ledger, before), ledger.Repeated()
}

func until(ledger *cells.Ledger, before int64) []oracle.Row {
	return slices.DeleteFunc(ledger.Rows(), func(r oracle.Row) bool { return r.WindowStart >= before })
}

// expected are the rows before an instant that an engine makes of what a fleet says
// until another.
func expected(t *testing.T, f *fleet, to, before int64) []oracle.Row {
	t.Helper()
	rules := processor.DefaultRules()
	rules.Early.Every, rules.State.Samples = 0, 10*time.Minute // what it says comes in time
	e, err := engine.New(rules.Engine())
	if err != nil {
		t.Fatal(err)
	}
	ledger := cells.New()
	f.feed(e, to, ledger)
	return until(ledger, before)
}

// check holds what is published of what a fleet has said until an instant to what is
// expected. The last minute, which was cut short, is left out.
func (b *bench) check(f *fleet, to int64) {
	b.t.Helper()
	before := to - to%minute
	want := expected(b.t, f, to, before)
	got, repeated := b.published(before)
	if repeated > 0 {
		b.t.Errorf("%d cells were published twice alike", repeated)
	}
	same := func(x, y oracle.Row) bool { return x.Compare(&y) == 0 }
	if len(want) == 0 || !slices.EqualFunc(got, want, same) {
		for i := range min(len(got), len(want)) {
			if !same(got[i], want[i]) {
				b.t.Errorf("row %d:\n%+v, want\n%+v", i, got[i], want[i])
				break
			}
		}
		b.t.Errorf("%d rows, want %d", len(got), len(want))
	}
	b.t.Logf("%d rows are as they must be", len(want))
}

package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink/notify"
	"github.com/gpumeter/gpumeter/sink/slack"
	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a broker and a Slack that outlive every notifier.
type world struct {
	t     testing.TB
	fake  *kfake.Cluster
	cl    *kgo.Client
	slack *slacktest.Server
	to    slack.Config
	cfg   notify.Config
	logs  safeBuffer
}

func layout() broker.Layout { return broker.Layout{Partitions: 2, Replication: 1} }

// newWorld has a notifier that is let in by "bot" token or "webhook".
func newWorld(t testing.TB, by string) *world {
	t.Helper()
	w := &world{t: t, slack: slacktest.New(), cfg: notify.DefaultConfig(), to: slack.DefaultConfig()}
	t.Cleanup(w.slack.Close)
	var err error
	if w.fake, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.fake.Close)
	makes := w.client()
	if _, err := broker.Ensure(t.Context(), makes, layout()); err != nil {
		t.Fatal(err)
	}
	makes.Close() // it has seen the topics missing, and believes so for a while
	w.cl = w.client(broker.ProducerOptions()...)
	t.Cleanup(w.cl.Close)
	w.cfg.UpdateEvery = 0
	w.cfg.Storm.Within, w.cfg.Storm.Gather = 300*time.Millisecond, 30*time.Millisecond
	w.to.Timeout = 300 * time.Millisecond
	secret := slacktest.Token
	if by == "webhook" {
		secret = w.slack.Webhook()
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if by == "webhook" {
		w.to.WebhookFile = file
	} else {
		w.to.TokenFile, w.to.Channel, w.to.API = file, slacktest.Channel, w.slack.API()
	}
	return w
}

func (w *world) client(more ...kgo.Opt) *kgo.Client {
	w.t.Helper()
	opts, err := broker.Config{Brokers: w.fake.ListenAddrs()}.Options("test")
	if err != nil {
		w.t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	return cl
}

// say appends revisions of findings.
func (w *world) say(findings ...schemas.Finding) {
	w.t.Helper()
	for _, f := range findings {
		rec, err := wire.Encode(f.Allocation, []schemas.Finding{f})
		if err != nil {
			w.t.Fatal(err)
		}
		w.cl.Produce(w.t.Context(), rec, nil)
	}
	if err := w.cl.Flush(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// sayAtOnce appends findings so that they are read together.
func (w *world) sayAtOnce(findings []schemas.Finding) {
	w.t.Helper()
	rec, err := wire.Encode("together", findings)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.cl.ProduceSync(w.t.Context(), rec).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// A process is a notifier that runs until it is stopped.
type process struct {
	t    testing.TB
	stop func() error
}

// start runs a notifier. Where die gives errDied it dies, and another one that
// does not takes over. die may be nil.
func (w *world) start(die func(string) error) *process {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := w.run(ctx, die)
		if errors.Is(err, errDied) {
			err = w.run(ctx, nil)
		}
		done <- err
	}()
	p := &process{t: w.t, stop: sync.OnceValue(func() error { cancel(); return <-done })}
	w.t.Cleanup(func() { _ = p.stop() })
	return p
}

func (w *world) run(ctx context.Context, die func(string) error) error {
	client, err := slack.New(w.to)
	if err != nil {
		return err
	}
	defer client.Close()
	return notify.RunDying(ctx, w.cfg, notify.Env{
		Broker: broker.Config{Brokers: w.fake.ListenAddrs()}, Topics: layout(), Notifier: client,
		Log: slog.New(slog.NewTextHandler(&w.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), Meter: noop.NewMeterProvider().Meter(""),
	}, die)
}

// end stops a process, which takes it well.
func (p *process) end() {
	p.t.Helper()
	if err := p.stop(); err != nil {
		p.t.Fatalf("stop: %v", err)
	}
}

// until waits for the messages to be as wanted.
func (w *world) until(what string, ok func([]slacktest.Message) bool) {
	w.t.Helper()
	timeout := time.After(15 * time.Second)
	for {
		changed := w.slack.Changed()
		if ok(w.slack.Messages()) {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			w.t.Fatalf("waiting for %s; Slack has\n%s\nlogs:\n%s", what, show(w.slack.Messages()), w.logs.String())
		}
	}
}

// called waits until Slack was called n times.
func (w *world) called(n int) {
	w.t.Helper()
	w.until("calls", func([]slacktest.Message) bool { return len(w.slack.Calls()) >= n })
}

// committed waits until the group has committed the end of every partition.
func (w *world) committed() {
	w.t.Helper()
	adm := kadm.NewClient(w.cl)
	for deadline := time.Now().Add(15 * time.Second); ; {
		ends, err := adm.ListCommittedOffsets(w.t.Context(), schemas.Prefix+schemas.StreamFindings)
		if err != nil {
			w.t.Fatal(err)
		}
		offsets, err := adm.FetchOffsets(w.t.Context(), w.cfg.Group)
		behind := 0
		ends.Each(func(o kadm.ListedOffset) {
			if at, ok := offsets.Lookup(o.Topic, o.Partition); !ok || at.At < o.Offset {
				behind++
			}
		})
		if err == nil && behind == 0 {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("offsets are not committed: %v\nlogs:\n%s", err, w.logs.String())
		}
		time.Sleep(5 * time.Millisecond) // the broker has nothing to wait on
	}
}

func show(messages []slacktest.Message) string {
	var out strings.Builder
	for _, m := range messages {
		fmt.Fprintf(&out, "%s thread=%q id=%q %s (edits %d)\n", m.TS, m.Thread, m.ID, m.Text, len(m.Edits))
	}
	return out.String()
}

const (
	hour  = int64(3_600_000)
	start = int64(1_780_275_600_000) // 2026-06-01 01:00 UTC
)

// raised is an alert with its number in its name, and in its money.
func raised(n int) schemas.Finding {
	id := fmt.Sprintf("job-%d", n)
	return schemas.Finding{
		Finding: fmt.Sprintf("idle/%s/%d", id, start), Revision: 2, Kind: schemas.KindIdle, Status: schemas.StatusOpen, Severity: schemas.SeverityAlert,
		OpenedAt: start, ThresholdAt: start + hour/2, UpdatedAt: start + hour/2, Allocation: id, Node: "node-1", GPUs: []string{"GPU-1"},
		User: "ada", Team: "nlp", BurntCost: int64(n) * 1_000_000_000, CostPerHour: 2_000_000_000, Currency: "USD", Advice: "Stop it.",
	}
}

// later is a further revision of an open alert, with that much burnt.
func later(f schemas.Finding, nano int64) schemas.Finding {
	f.Revision++
	f.UpdatedAt += hour
	f.BurntCost = nano
	return f
}

// ended is the last revision of an alert.
func ended(f schemas.Finding) schemas.Finding {
	f.Revision += 10
	f.Status, f.ResolvedAt, f.UpdatedAt = schemas.StatusResolved, start+2*hour, start+2*hour
	return f
}

// about counts the messages that name a job.
func about(messages []slacktest.Message, n int, say string) int {
	count := 0
	for _, m := range messages {
		if strings.Contains(m.Text, fmt.Sprintf("`job-%d`", n)) && strings.Contains(m.Text, say) {
			count++
		}
	}
	return count
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// endAfter stops a process once something has happened.
func (p *process) endAfter(happened func()) {
	p.t.Helper()
	happened()
	p.end()
}

package sink

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink/notify"
	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

// logged collects lines.
type logged struct {
	mu      sync.Mutex
	text    strings.Builder
	awaited string        // what a line holds
	found   chan struct{} // that closes it
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.awaited != "" && strings.Contains(string(p), l.awaited) {
		l.awaited = ""
		close(l.found)
	}
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) env() Env {
	return Env{Log: slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})), Meter: noop.NewMeterProvider().Meter("")}
}

func withBroker(t *testing.T) Config {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := valid()
	c.Broker.Brokers, c.Topics.Partitions, c.Topics.Replication = fake.ListenAddrs(), 1, 1
	return c
}

func raise(t *testing.T, c Config) {
	t.Helper()
	opts, err := c.Broker.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := broker.Ensure(t.Context(), cl, c.Topics); err != nil {
		t.Fatal(err)
	}
	rec, err := wire.Encode("a", []schemas.Finding{{
		Finding: "idle/a/1", Revision: 1, Kind: schemas.KindIdle, Status: schemas.StatusOpen, Severity: schemas.SeverityAlert,
		Allocation: "a", Node: "n", GPUs: []string{"g"}, BurntCost: 1_500_000_000, Currency: "USD",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// mute is a Notifier that hangs until it is told to stop.
type mute struct{ asked chan struct{} }

func (m mute) Post(ctx context.Context, _ notify.Message) (notify.Ref, error) {
	close(m.asked)
	<-ctx.Done()
	return notify.Ref{}, ctx.Err()
}

func (m mute) Edit(context.Context, notify.Ref, notify.Message) error { return nil }

func (m mute) Find(context.Context, notify.Message, time.Time) (notify.Ref, bool, error) {
	return notify.Ref{}, false, notify.ErrCannotFind
}

// The sink goes on beside a Notifier that hangs, and stops in time.
func TestNotifierThatHangsIsLeftBehind(t *testing.T) {
	var logs logged
	c, env := withBroker(t), logs.env()
	to := mute{make(chan struct{})}
	env.Notifier = to
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	a, err := announce(ctx, c, env) // returns at once, and so does all that follows in Run
	if err != nil {
		t.Fatal(err)
	}
	defer a.stop()
	raise(t, c)
	<-to.asked
	began := time.Now()
	cancel()
	a.stop()
	if took := time.Since(began); took > stopWithin {
		t.Errorf("stopped after %v", took)
	}
}

// From the configuration to the channel; the secret is nowhere in the logs.
func TestAlertReachesSlack(t *testing.T) {
	s := slacktest.New()
	defer s.Close()
	var logs logged
	c := withBroker(t)
	c.Slack.TokenFile = filepath.Join(t.TempDir(), "token")
	c.Slack.Channel, c.Slack.API = slacktest.Channel, s.API()
	if err := os.WriteFile(c.Slack.TokenFile, []byte(slacktest.Token), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s.Fail(slacktest.Fault{Code: "invalid_auth"}, slacktest.Fault{Status: 500})
	a, err := announce(t.Context(), c, logs.env())
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, s, func() bool { return len(s.Calls()) > 0 })
	raise(t, c)
	waitFor(t, s, func() bool { return len(s.Messages()) > 0 })
	a.stop()
	if m := s.Messages()[0]; !strings.Contains(m.Text, "USD 1.50 burnt") {
		t.Errorf("Slack has %s", m.Text)
	}
	text := logs.String()
	if !strings.Contains(text, "Slack does not know us") || !strings.Contains(text, "http_500") || strings.Contains(text, "VerySecret") {
		t.Errorf("logged\n%s", text)
	}
}

func waitFor(t *testing.T, s *slacktest.Server, ok func() bool) {
	t.Helper()
	timeout := time.After(20 * time.Second)
	for {
		changed := s.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatal("waited in vain")
		}
	}
}

// A notifier that fails is started again; the sink hears of it in its log only.
func TestNotifierThatFailsIsStartedAgain(t *testing.T) {
	var logs logged
	c, env := valid(), logs.env()
	c.Notify.Group = "" // it ends at once
	env.Notifier = mute{}
	logs.awaited, logs.found = "starting it again", make(chan struct{})
	a, err := announce(t.Context(), c, env)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-logs.found:
	case <-time.After(20 * time.Second):
		t.Error("not logged")
	}
	a.stop()
}

func TestSecretThatCannotBeReadIsRefusedAtTheStart(t *testing.T) {
	var logs logged
	c := valid()
	c.Slack.WebhookFile = "/no/such/file"
	if _, err := announce(t.Context(), c, logs.env()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

package storage

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/service"
	"github.com/gpumeter/gpumeter/sink"
	"github.com/gpumeter/gpumeter/sink/notify"
)

// deaf is a Slack that never answers.
type deaf struct{ asked chan struct{} }

func (d deaf) Post(ctx context.Context, _ notify.Message) (notify.Ref, error) {
	select {
	case d.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return notify.Ref{}, ctx.Err()
}

func (d deaf) Edit(ctx context.Context, _ notify.Ref, _ notify.Message) error {
	<-ctx.Done()
	return ctx.Err()
}

func (d deaf) Find(context.Context, notify.Message, time.Time) (notify.Ref, bool, error) {
	return notify.Ref{}, false, notify.ErrCannotFind
}

// alert is a finding that people are told of.
func (p *pipe) alert() {
	p.Helper()
	p.publish(kgo.TryCommit, encode(p, schemas.Finding{
		Finding: "idle/a/1", Revision: 1, Kind: schemas.KindIdle, Status: schemas.StatusOpen, Severity: schemas.SeverityAlert,
		OpenedAt: origin, UpdatedAt: origin, Allocation: "a", Node: "n", GPUs: []string{"g"}, BurntCost: 1, Currency: "USD",
	}))
}

// Facts flow while Slack hangs for ever, and the stop is in time.
func TestSlackThatHangsDoesNotStallFacts(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	to := deaf{make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- sink.Run(ctx, p.sink(e.DSN(), "g", 100, 1<<20), sink.Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Notifier: to})
	}()
	p.alert()
	reach(t, "the message", to.asked)
	for n := range 5 {
		p.round(n)
		p.drain("g")
	}
	began := time.Now()
	cancel()
	if err := <-done; err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("the sink ended after %v: %v", time.Since(began), err)
	}
	e.want("toString(count())", "gpumeter.cost", "105")
	e.want("toString(count())", "gpumeter.findings_history", "11")
}

// Alerts reach people while ClickHouse is away, and a second sink, of a group of
// its own, stores in another ClickHouse all the while.
func TestServerThatIsAwayStallsNobodyElse(t *testing.T) {
	first, second, p := newEngine(t), newEngine(t), newPipe(t)
	x := newProxy(t, strings.TrimPrefix(first.DSN(), "clickhouse://default@"))
	to := deaf{make(chan struct{}, 1)} // being asked is enough
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ready, done := make(chan func() sink.Stats, 1), make(chan error, 1)
	go func() {
		done <- sink.Run(ctx, p.sink("clickhouse://default@"+x.address(), "g", 100, 1<<20),
			sink.Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Notifier: to, Ready: func(s func() sink.Stats) { ready <- s }})
	}()
	other := p.launch(p.sink(second.DSN(), "other", 100, 1<<20))
	stats := <-ready
	x.setAway(true)
	p.round(0)
	await(t, "the first sink to wait", func() bool { return stats().Waiting != nil })
	p.alert()
	reach(t, "the message", to.asked)
	p.round(1)
	p.drain("other")
	if lag, err := sink.Lag(t.Context(), p.admin, "g"); err != nil || lag == 0 {
		t.Errorf("lag %d, %v of a sink whose server is away", lag, err)
	}
	second.want("toString(count())", "gpumeter.cost", "42")
	x.setAway(false)
	p.drain("g")
	first.want("toString(count())", "gpumeter.cost", "42")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the sink ended: %v", err)
	}
	other.stop()
}

// page fetches a page of the shell.
func page(t *testing.T, handler http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// metric is the value of a line of Prometheus text that begins so, "" for none.
func metric(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// Metrics tell the truth before, in, and after an outage.
func TestMetricsTellOfAnOutage(t *testing.T) {
	e, p := newEngine(t), newPipe(t)
	telemetry, err := service.NewTelemetry("gpumeter-sink", "test")
	if err != nil {
		t.Fatal(err)
	}
	x := newProxy(t, strings.TrimPrefix(e.DSN(), "clickhouse://default@"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		done <- sink.Run(ctx, p.sink("clickhouse://default@"+x.address(), "g", 100, 1<<20), sink.Env{Log: slog.New(slog.DiscardHandler), Meter: telemetry.Meter("sink")})
	}()
	const waiting, lag, retries = "gpumeter_sink_waiting_seconds ", `gpumeter_sink_lag{topic="gpumeter.cost"} `, "gpumeter_sink_retries_total "
	says := func(name string, ok func(value string) bool) {
		t.Helper()
		await(t, name, func() bool { return ok(metric(page(t, telemetry.Handler()), name)) })
	}
	none := func(v string) bool { return v == "0" }
	some := func(v string) bool { return v != "" && v != "0" }
	p.round(0)
	says(lag, none)
	says(waiting, none)
	x.setAway(true)
	p.round(1)
	says(lag, some)
	says(waiting, some)
	says(retries, some)
	x.setAway(false)
	says(lag, none)
	says(waiting, none)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the sink ended: %v", err)
	}
}

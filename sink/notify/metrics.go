package notify

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the notifier's instruments.
type metrics struct {
	sent    metric.Int64Counter
	failed  metric.Int64Counter
	retried metric.Int64Counter
	refused metric.Int64Counter
	corrupt metric.Int64Counter
	waiting metric.Int64Gauge
	delay   metric.Float64Histogram
}

func newMetrics(meter metric.Meter) (*metrics, error) {
	var errs []error
	counter := func(name, unit, doc string) metric.Int64Counter {
		c, err := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(doc))
		errs = append(errs, err)
		return c
	}
	m := &metrics{
		sent:    counter("gpumeter.notify.sent", "{message}", "messages that were delivered or replaced"),
		failed:  counter("gpumeter.notify.failed", "{attempt}", "attempts that failed"),
		retried: counter("gpumeter.notify.retried", "{attempt}", "attempts after one that failed"),
		refused: counter("gpumeter.notify.refused", "{message}", "messages that were given up because they were refused for what they say"),
		corrupt: counter("gpumeter.notify.corrupt", "{record}", "records of findings and notices that could not be read"),
	}
	var err error
	m.waiting, err = meter.Int64Gauge("gpumeter.notify.waiting", metric.WithUnit("{finding}"), metric.WithDescription("alerts and ends that nobody was told of yet"))
	errs = append(errs, err)
	m.delay, err = meter.Float64Histogram("gpumeter.notify.delay", metric.WithUnit("s"),
		metric.WithDescription("from the append of the finding's record to the acknowledgement of its message"),
		metric.WithExplicitBucketBoundaries(.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800))
	return m, errors.Join(append(errs, err)...)
}

func (m *metrics) delivered(ctx context.Context, j *job, waited []time.Duration) {
	what := metric.WithAttributes(attribute.String("what", j.what), attribute.Bool("edit", j.edit), attribute.Bool("digest", len(j.entries) > 1))
	m.sent.Add(ctx, 1, what)
	for _, d := range waited {
		m.delay.Record(ctx, d.Seconds(), what)
	}
}

func (m *metrics) failure(ctx context.Context, f *Failure) {
	m.failed.Add(ctx, 1, metric.WithAttributes(attribute.String("reason", f.Reason)))
}

// quiet lets one line of a kind through in a while and counts the others.
type quiet struct {
	every time.Duration
	last  map[string]time.Time
	held  map[string]int
}

func newQuiet(every time.Duration) *quiet {
	return &quiet{every: every, last: map[string]time.Time{}, held: map[string]int{}}
}

// speak reports whether to log, and how many lines were held back since.
func (q *quiet) speak(kind string, now time.Time) (held int, yes bool) {
	if last, ok := q.last[kind]; ok && now.Sub(last) < q.every {
		q.held[kind]++
		return 0, false
	}
	held, q.last[kind], q.held[kind] = q.held[kind], now, 0
	return held, true
}

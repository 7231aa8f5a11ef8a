package nvml

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// meters are the source's own metrics. What the GPUs say is in the samples, not
// here.
type meters struct {
	duration metric.Float64Histogram
	gpus     metric.Int64Gauge
	missed   metric.Int64Counter
	states   map[string]metric.MeasurementOption // by reason, "sampled" too
}

const sampled = "sampled"

func newMeters(meter metric.Meter) (*meters, error) {
	m := &meters{states: map[string]metric.MeasurementOption{}}
	var errs [3]error
	m.duration, errs[0] = meter.Float64Histogram("gpumeter.collector.nvml.round.duration", metric.WithUnit("s"),
		metric.WithDescription("time until all GPUs answered, or the timeout"),
		metric.WithExplicitBucketBoundaries(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1))
	m.gpus, errs[1] = meter.Int64Gauge("gpumeter.collector.nvml.gpus", metric.WithUnit("{gpu}"),
		metric.WithDescription("GPUs by what the last round had of them: sampled, or why not"))
	m.missed, errs[2] = meter.Int64Counter("gpumeter.collector.nvml.unsampled", metric.WithUnit("{reading}"),
		metric.WithDescription("readings of a GPU that are missing, by reason"))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, fmt.Errorf("register the metrics of nvml: %w", err)
	}
	for _, s := range []string{sampled, hung, lost, failed} {
		m.states[s] = metric.WithAttributeSet(attribute.NewSet(attribute.String("state", s)))
	}
	return m, nil
}

func (m *meters) took(ctx context.Context, d time.Duration) { m.duration.Record(ctx, d.Seconds()) }

func (m *meters) unsampled(ctx context.Context, why string) { m.missed.Add(ctx, 1, m.states[why]) }

func (m *meters) sampled(ctx context.Context, workers []*worker) {
	count := map[string]int64{sampled: 0, hung: 0, lost: 0, failed: 0}
	for _, w := range workers {
		state := w.condition.why
		if state == "" {
			state = sampled
		}
		count[state]++
	}
	for state, n := range count {
		m.gpus.Record(ctx, n, m.states[state])
	}
}

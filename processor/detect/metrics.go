package detect

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/schemas"
)

// A revised is what findings are counted by.
type revised struct{ kind, severity, status string }

// A tally is what the open transaction does.
type tally struct {
	findings map[revised]int64
	letters  int64
}

func (t *tally) count(f *schemas.Finding) {
	if t.findings == nil {
		t.findings = make(map[revised]int64)
	}
	t.findings[revised{f.Kind, f.Severity, f.Status}]++
}

// stats counts what a finder has done since it started. What a transaction did
// counts once it is committed; rows count when they are decoded, again when they
// are read again after an abort.
type stats struct {
	rows, letters, transactions, aborts, recoveries atomic.Int64
	recoveryTime                                    atomic.Int64 // ns

	mu       sync.Mutex
	findings map[revised]int64
}

func newStats() *stats { return &stats{findings: make(map[revised]int64)} }

func (s *stats) committed(t *tally) {
	s.transactions.Add(1)
	s.letters.Add(t.letters)
	s.mu.Lock()
	defer s.mu.Unlock()
	for r, n := range t.findings {
		s.findings[r] += n
	}
}

func (s *stats) recovered(detectors int, took time.Duration) {
	s.recoveries.Add(int64(detectors))
	s.recoveryTime.Add(int64(took))
}

// instrument shows the stats as metrics. They are read when somebody scrapes; the
// loop pays nothing for them.
func (f *Finder) instrument(meter metric.Meter) error {
	var failed error
	counter := func(name, unit, doc string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter("gpumeter.detect."+name, metric.WithUnit(unit), metric.WithDescription(doc))
		if err != nil && failed == nil {
			failed = fmt.Errorf("metric %s: %w", name, err)
		}
		return c
	}
	s := f.stats
	counts := []struct {
		counter metric.Int64ObservableCounter
		n       *atomic.Int64
	}{
		{counter("rows", "{row}", "Rows of activity read."), &s.rows},
		{counter("transactions", "{transaction}", "Transactions committed."), &s.transactions},
		{counter("aborts", "{transaction}", "Transactions aborted; each makes all detectors anew."), &s.aborts},
		{counter("dead_letters", "{row}", "Dead letters: records of activity that could not be read, and gaps."), &s.letters},
		{counter("recoveries", "{detector}", "Detectors made anew from what was committed."), &s.recoveries},
	}
	findings := counter("findings", "{revision}", "Revisions of findings published, by kind, severity and status.")
	recovery, err := meter.Float64ObservableCounter("gpumeter.detect.recovery_time", metric.WithUnit("s"),
		metric.WithDescription("Time spent on making detectors anew."))
	if failed == nil && err != nil {
		failed = fmt.Errorf("metric recovery_time: %w", err)
	}
	if failed != nil {
		return failed
	}
	observed := []metric.Observable{findings, recovery}
	for _, c := range counts {
		observed = append(observed, c.counter)
	}
	f.metrics, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, c := range counts {
			o.ObserveInt64(c.counter, c.n.Load())
		}
		o.ObserveFloat64(recovery, time.Duration(s.recoveryTime.Load()).Seconds())
		s.mu.Lock()
		defer s.mu.Unlock()
		for r, n := range s.findings {
			o.ObserveInt64(findings, n, metric.WithAttributes(
				attribute.String("kind", r.kind), attribute.String("severity", r.severity), attribute.String("status", r.status)))
		}
		return nil
	}, observed...)
	return err
}

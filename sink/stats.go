package sink

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Stats says what became of the records so far.
type Stats struct {
	Rows    map[string]int64 // acknowledged by the server, by table
	Corrupt map[string]int64 // records that could not be read, by topic
	Lost    map[string]int64 // records that were gone before they were stored, or after, by topic
	Inserts int64
	Retries int64         // inserts that failed and were tried again
	Spent   time.Duration // waiting for inserts

	Waiting      error     // why nothing is stored now; nil: all is well
	WaitingSince time.Time // when that began
}

// waited is for how long nothing has been stored, 0 when all is well.
func (s Stats) waited() time.Duration {
	if s.Waiting == nil {
		return 0
	}
	return time.Since(s.WaitingSince)
}

// counts is Stats in the making.
type counts struct {
	mu sync.Mutex
	Stats
}

func newCounts() *counts {
	return &counts{Stats: Stats{Rows: map[string]int64{}, Corrupt: map[string]int64{}, Lost: map[string]int64{}}}
}

func (c *counts) change(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.Stats)
}

func (c *counts) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.Stats
	s.Rows, s.Corrupt, s.Lost = maps.Clone(s.Rows), maps.Clone(s.Corrupt), maps.Clone(s.Lost)
	return s
}

// observe offers the counts as metrics. They are read when somebody asks.
func (c *counts) observe(meter metric.Meter) (metric.Registration, error) {
	var firstErr error
	counter := func(name, unit, doc string) metric.Int64ObservableCounter {
		m, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(doc))
		if firstErr == nil {
			firstErr = err
		}
		return m
	}
	rows := counter("gpumeter.sink.rows", "{row}", "rows that ClickHouse acknowledged")
	corrupt := counter("gpumeter.sink.corrupt", "{record}", "records that could not be read")
	lost := counter("gpumeter.sink.lost", "{record}", "records that were gone before they were stored (retention), or that brokers lost after")
	inserts := counter("gpumeter.sink.inserts", "{insert}", "inserts that ClickHouse acknowledged")
	retries := counter("gpumeter.sink.retries", "{insert}", "inserts that failed and were tried again")
	spent := counter("gpumeter.sink.insert.time", "ms", "time spent waiting for inserts")
	waiting, err := meter.Float64ObservableGauge("gpumeter.sink.waiting", metric.WithUnit("s"), metric.WithDescription("for how long ClickHouse has not taken the rows; 0: it takes them"))
	if err := errors.Join(firstErr, err); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := c.snapshot()
		for table, n := range s.Rows {
			o.ObserveInt64(rows, n, metric.WithAttributes(attribute.String("table", table)))
		}
		for topic, n := range s.Corrupt {
			o.ObserveInt64(corrupt, n, metric.WithAttributes(attribute.String("topic", topic)))
		}
		for topic, n := range s.Lost {
			o.ObserveInt64(lost, n, metric.WithAttributes(attribute.String("topic", topic)))
		}
		o.ObserveFloat64(waiting, s.waited().Seconds())
		o.ObserveInt64(inserts, s.Inserts)
		o.ObserveInt64(retries, s.Retries)
		o.ObserveInt64(spent, s.Spent.Milliseconds())
		return nil
	}, rows, corrupt, lost, waiting, inserts, retries, spent)
}

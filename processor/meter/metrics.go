package meter

import (
	"context"
	"fmt"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instrument shows the stats as metrics. They are read when somebody scrapes;
// the loop pays nothing for them.
func (m *Meter) instrument(meter metric.Meter) (err error) {
	var failed error
	counter := func(name, unit, doc string) metric.Int64ObservableCounter {
		c, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(doc))
		if err != nil && failed == nil {
			failed = fmt.Errorf("metric %s: %w", name, err)
		}
		return c
	}
	rows := counter("gpumeter.processor.rows", "{row}", "Rows read, by stream.")
	cells := counter("gpumeter.processor.cells", "{cell}", "Cells published: a GPU's window with all its rows.")
	costRows := counter("gpumeter.processor.cost_rows", "{row}", "Rows of the cells published.")
	activity := counter("gpumeter.processor.activity", "{row}", "Stretches of allocations' time said to detectors.")
	transactions := counter("gpumeter.processor.transactions", "{transaction}", "Transactions committed.")
	aborts := counter("gpumeter.processor.aborts", "{transaction}", "Transactions aborted; each makes all engines anew.")
	letters := counter("gpumeter.processor.dead_letters", "{row}", "Rows refused or reported, by reason.")
	recoveries := counter("gpumeter.processor.recoveries", "{engine}", "Engines made anew from what was committed.")
	recovery, err := meter.Float64ObservableCounter("gpumeter.processor.recovery_time", metric.WithUnit("s"),
		metric.WithDescription("Time spent on making engines anew."))
	if failed == nil && err != nil {
		failed = fmt.Errorf("metric recovery_time: %w", err)
	}
	lag, err := meter.Float64ObservableGauge("gpumeter.processor.horizon_lag", metric.WithUnit("s"),
		metric.WithDescription("Newest tick minus horizon of an owned partition, on the broker's clock."))
	if failed == nil && err != nil {
		failed = fmt.Errorf("metric horizon_lag: %w", err)
	}
	backlog, err := meter.Int64ObservableGauge("gpumeter.processor.backlog", metric.WithUnit("{cell}"),
		metric.WithDescription("Cells that a change of long ago has still to restate, of an owned partition, at most."))
	if failed == nil && err != nil {
		failed = fmt.Errorf("metric backlog: %w", err)
	}
	waiting, err := meter.Float64ObservableGauge("gpumeter.processor.waiting", metric.WithUnit("s"),
		metric.WithDescription("For how long nothing has been read for want of memory; 0: it is read."))
	if failed == nil && err != nil {
		failed = fmt.Errorf("metric waiting: %w", err)
	}
	if failed != nil {
		return failed
	}
	m.metrics, err = meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := m.stats.summary()
		for stream, n := range s.Rows {
			o.ObserveInt64(rows, n, metric.WithAttributes(attribute.String("stream", stream)))
		}
		for reason, n := range s.DeadLetters {
			o.ObserveInt64(letters, n, metric.WithAttributes(attribute.String("reason", reason)))
		}
		o.ObserveInt64(cells, s.Cells)
		o.ObserveInt64(costRows, s.CostRows)
		o.ObserveInt64(activity, s.Activity)
		o.ObserveInt64(transactions, s.Transactions)
		o.ObserveInt64(aborts, s.Aborts)
		o.ObserveInt64(recoveries, s.Recoveries)
		o.ObserveFloat64(recovery, s.RecoveryTime.Seconds())
		o.ObserveFloat64(waiting, m.memory.waited().Seconds())
		m.observePartitions(o, lag, backlog)
		return nil
	}, rows, cells, costRows, activity, transactions, aborts, letters, recoveries, recovery, lag, backlog, waiting)
	return err
}

func (m *Meter) observePartitions(o metric.Observer, lag metric.Float64Observable, backlog metric.Int64Observable) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for partition, d := range m.lag {
		o.ObserveFloat64(lag, d.Seconds(), of(partition))
	}
	for partition, n := range m.backlog {
		o.ObserveInt64(backlog, n, of(partition))
	}
}

func of(partition int32) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("partition", strconv.Itoa(int(partition))))
}

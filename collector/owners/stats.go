package owners

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Stats count what could not be told, since the start.
type Stats struct {
	Unreadable int64 // observations of a process of which too little can be read to say whose it is
	Gone       int64 // observations of a pid that no process has: it exited just now, or is of another pid namespace
	Ignored    int64 // observations of programs that are told to be ignored
	Polled     int64 // processes whose end is seen by looking only
	StateLost  int64 // state files that could not be read; what they knew is not known
	StateFails int64 // state files that could not be written
}

// counts are the Stats as they grow. They have no lock: a tracker that waits for
// its sink can still be asked.
type counts struct {
	unreadable, gone, ignored, polled, stateLost, stateFails atomic.Int64
}

// Stats may be called at any time.
func (t *Tracker) Stats() Stats {
	c := &t.count
	return Stats{
		Unreadable: c.unreadable.Load(), Gone: c.gone.Load(), Ignored: c.ignored.Load(),
		Polled: c.polled.Load(), StateLost: c.stateLost.Load(), StateFails: c.stateFails.Load(),
	}
}

// Register makes the stats metrics of meter, until the registration is undone.
func (t *Tracker) Register(meter metric.Meter) (metric.Registration, error) {
	nobodys, err := meter.Int64ObservableCounter("gpumeter.collector.owners.unknown", metric.WithUnit("{process}"),
		metric.WithDescription("observations of a process on a GPU that no allocation is told of, by reason"))
	if err != nil {
		return nil, fmt.Errorf("register the metrics of owners: %w", err)
	}
	failures, err := meter.Int64ObservableCounter("gpumeter.collector.owners.state.failures", metric.WithUnit("{file}"),
		metric.WithDescription("state files that could not be read or written"))
	if err != nil {
		return nil, fmt.Errorf("register the metrics of owners: %w", err)
	}
	reason := func(why string) metric.ObserveOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("reason", why)))
	}
	unreadable, gone, ignored := reason("unreadable"), reason("gone"), reason("ignored")
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := t.Stats()
		o.ObserveInt64(nobodys, s.Unreadable, unreadable)
		o.ObserveInt64(nobodys, s.Gone, gone)
		o.ObserveInt64(nobodys, s.Ignored, ignored)
		o.ObserveInt64(failures, s.StateLost+s.StateFails)
		return nil
	}, nobodys, failures)
}

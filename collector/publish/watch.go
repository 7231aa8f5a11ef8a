package publish

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/collector/spool"
)

// sayAgain is the least time between two lines of the log on one matter.
const sayAgain = 30 * time.Second

// keepWatch forces the spool to the disk at its interval, and logs what changed.
func (s *spooled) keepWatch() {
	tick := time.NewTicker(s.Config.Disk.Sync)
	defer tick.Stop()
	w := watch{spooled: s}
	for {
		select {
		case <-s.life.Done():
			return
		case now := <-tick.C:
			s.spool.Sync()
			w.look(now)
		}
	}
}

// A watch remembers what was said.
type watch struct {
	*spooled
	behind   bool // the spool held something
	lost     int64
	faults   int64
	saidLoss time.Time
	saidHow  time.Time
}

// lost is how many rows were dropped or damaged since the start.
func (s *spooled) lost(now map[string]spool.Counts) (rows int64) {
	for stream, c := range now {
		rows += c.Dropped + c.Damaged - s.atStart[stream].Dropped - s.atStart[stream].Damaged
	}
	return rows
}

func (w *watch) look(now time.Time) {
	s := w.spooled
	if behind := !s.spool.Empty(); behind != w.behind && now.Sub(w.saidHow) > sayAgain {
		w.behind, w.saidHow = behind, now
		if behind {
			s.Log.Warn("records go through the spool", "brokers_away", s.isAway(), "bytes", s.spool.Bytes(), "dir", s.Config.Disk.Dir)
		} else {
			s.Log.Info("the spool is empty again: the brokers have everything")
		}
	}
	if now.Sub(w.saidLoss) <= sayAgain {
		return
	}
	lost, faults := s.lost(s.spool.Counts()), s.spool.Faults()
	if lost != w.lost || faults.Count != w.faults {
		s.Log.Error("the spool has lost rows or its disk has failed: the time of lost samples is unknown in the ledger",
			"rows", lost-w.lost, "rows_since_start", lost, "failures", faults.Count-w.faults, "last_failure", faults.Last, "bytes", s.spool.Bytes(), "limit_bytes", s.Config.Disk.Bytes)
		w.lost, w.faults, w.saidLoss = lost, faults.Count, now
	}
}

// isAway tells that the brokers do not answer, as far as is known.
func (s *spooled) isAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.away || !s.ready
}

// stats adds what the spool knows.
func (s *spooled) stats(to Stats) Stats {
	for stream, now := range s.spool.Counts() {
		was, c := s.atStart[stream], to.Streams[stream]
		c.Carried, c.Spooled = was.Held(), now.Held()
		c.Dropped, c.Damaged = now.Dropped-was.Dropped, now.Damaged-was.Damaged
		if c != (StreamStats{}) {
			to.Streams[stream] = c
		}
	}
	return to
}

// observe offers the state of the spool as metrics.
func (s *spooled) observe(meter metric.Meter) (metric.Registration, error) {
	rows, err1 := meter.Int64ObservableGauge("gpumeter.collector.spool.rows", metric.WithUnit("{row}"), metric.WithDescription("rows in the spool"))
	bytes, err2 := meter.Int64ObservableGauge("gpumeter.collector.spool.bytes", metric.WithUnit("By"), metric.WithDescription("size of the spool"))
	away, err3 := meter.Int64ObservableGauge("gpumeter.collector.brokers.away", metric.WithDescription("1 while the brokers do not answer in time"))
	dropped, err4 := meter.Int64ObservableCounter("gpumeter.collector.spool.dropped", metric.WithUnit("{row}"), metric.WithDescription("rows dropped since the directory was first used, for want of room or because the disk refused them"))
	damaged, err5 := meter.Int64ObservableCounter("gpumeter.collector.spool.damaged", metric.WithUnit("{row}"), metric.WithDescription("rows that the spool could not read back since the directory was first used"))
	faults, err6 := meter.Int64ObservableCounter("gpumeter.collector.spool.faults", metric.WithUnit("{error}"), metric.WithDescription("calls that the spool's disk refused"))
	for _, err := range []error{err1, err2, err3, err4, err5, err6} {
		if err != nil {
			return nil, err
		}
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for stream, c := range s.spool.Counts() {
			of := metric.WithAttributes(attribute.String("stream", stream))
			o.ObserveInt64(rows, c.Held(), of)
			o.ObserveInt64(dropped, c.Dropped, of)
			o.ObserveInt64(damaged, c.Damaged, of)
		}
		o.ObserveInt64(bytes, s.spool.Bytes())
		o.ObserveInt64(faults, s.spool.Faults().Count)
		o.ObserveInt64(away, map[bool]int64{true: 1}[s.isAway()])
		return nil
	}, rows, bytes, away, dropped, damaged, faults)
}

package publish

import (
	"cmp"
	"context"
	"maps"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Stats says what became of the rows so far.
type Stats struct {
	Streams     map[string]StreamStats // by stream
	DeadLetters map[string]int64       // refused lines by reason
	Ignored     map[Field]int64        // how often a field was ignored that the contract does not know
	MaxEvent    int64                  // greatest ts of samples, processes and allocations within rule 1's bounds, Unix ms; 0 = none
}

// StreamStats counts one stream. With a spool, and nothing on its way:
//
//	Rows + Carried = Acknowledged + Spooled + Dropped + Damaged + Refused
type StreamStats struct {
	Rows         int64 // sent
	Acknowledged int64 // rows
	Batches      int64 // records
	Bytes        int64 // of record values

	Carried int64 // rows that an earlier run had left in the spool
	Spooled int64 // rows in the spool now
	Dropped int64 // rows dropped since the start: the spool was full or its disk failed
	Damaged int64 // rows that the spool could not read back since the start
	Refused int64 // rows that the brokers will never take
}

// A Field is a field or column of a stream's input.
type Field struct{ Stream, Name string }

const (
	// maxFields bounds the names of ignored fields that are counted apart.
	maxFields = 256
	// OtherFields counts ignored fields beyond the first names.
	OtherFields = "(others)"
)

// counts is Stats in the making.
type counts struct {
	mu sync.Mutex
	Stats
}

func newCounts() *counts {
	return &counts{Stats: Stats{Streams: map[string]StreamStats{}, DeadLetters: map[string]int64{}, Ignored: map[Field]int64{}}}
}

func (c *counts) snapshot() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Stats{
		Streams: maps.Clone(c.Streams), DeadLetters: maps.Clone(c.DeadLetters),
		Ignored: maps.Clone(c.Ignored), MaxEvent: c.MaxEvent,
	}
}

func (c *counts) stream(name string, change func(*StreamStats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.Streams[name]
	change(&s)
	c.Streams[name] = s
}

func (c *counts) acknowledged(p parcel) {
	c.stream(p.stream, func(s *StreamStats) {
		s.Acknowledged += int64(p.rows)
		s.Batches++
		s.Bytes += int64(len(p.record.Value))
	})
}

func (c *counts) event(ts int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.MaxEvent = max(c.MaxEvent, ts)
}

func (c *counts) deadLetter(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.DeadLetters[reason]++
}

func (c *counts) ignored(f Field) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.Ignored[f]; !known && len(c.Ignored) >= maxFields {
		f.Name = OtherFields
	}
	c.Ignored[f]++
}

// observe offers the counts as metrics. They are read when somebody asks, so
// that the rows cost nothing.
func (c *counts) observe(meter metric.Meter) (metric.Registration, error) {
	var firstErr error
	counter := func(name, unit, doc string) metric.Int64ObservableCounter {
		m, err := meter.Int64ObservableCounter(name, metric.WithUnit(unit), metric.WithDescription(doc))
		if firstErr == nil {
			firstErr = err
		}
		return m
	}
	accepted := counter("gpumeter.collector.rows", "{row}", "rows handed to the client")
	acked := counter("gpumeter.collector.rows.acknowledged", "{row}", "rows that the brokers acknowledged")
	batches := counter("gpumeter.collector.batches", "{record}", "records that the brokers acknowledged")
	bytes := counter("gpumeter.collector.bytes", "By", "record values that the brokers acknowledged")
	dead := counter("gpumeter.collector.dead_letters", "{line}", "lines refused")
	refused := counter("gpumeter.collector.rows.refused", "{row}", "rows that the brokers will never take")
	ignored := counter("gpumeter.collector.fields.ignored", "{field}", "fields ignored because the contract does not know them")
	if firstErr != nil {
		return nil, firstErr
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		s := c.snapshot()
		for name, v := range s.Streams {
			stream := metric.WithAttributes(attribute.String("stream", name))
			o.ObserveInt64(accepted, v.Rows, stream)
			o.ObserveInt64(acked, v.Acknowledged, stream)
			o.ObserveInt64(batches, v.Batches, stream)
			o.ObserveInt64(bytes, v.Bytes, stream)
			if v.Refused > 0 {
				o.ObserveInt64(refused, v.Refused, stream)
			}
		}
		for reason, n := range s.DeadLetters {
			o.ObserveInt64(dead, n, metric.WithAttributes(attribute.String("reason", reason)))
		}
		for f, n := range s.Ignored {
			o.ObserveInt64(ignored, n, metric.WithAttributes(attribute.String("stream", f.Stream), attribute.String("field", f.Name)))
		}
		return nil
	}, accepted, acked, batches, bytes, dead, refused, ignored)
}

// Compare orders fields by stream, then name.
func (f Field) Compare(g Field) int {
	return cmp.Or(strings.Compare(f.Stream, g.Stream), strings.Compare(f.Name, g.Name))
}

package sink

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/gap"
)

// Lag is how many offsets of the topics are not committed by the group yet:
// zero means that everything published before the call, and not rolled back,
// can be queried. It asks the brokers, so any process may call it.
func Lag(ctx context.Context, admin *kadm.Client, group string) (int64, error) {
	topics, err := lagByTopic(ctx, admin, group)
	if err != nil {
		return 0, err
	}
	var lag int64
	for _, n := range topics {
		lag += n
	}
	return lag, nil
}

func lagByTopic(ctx context.Context, admin *kadm.Client, group string) (map[string]int64, error) {
	logs, err := gap.Look(ctx, admin, storedTopics()...)
	if err != nil {
		return nil, err
	}
	left, err := leftBy(ctx, admin, group)
	if err != nil {
		return nil, err
	}
	lag := make(map[string]int64, len(logs))
	for topic, partitions := range logs {
		for n, log := range partitions {
			p := gap.Place{Topic: topic, Partition: n, Next: -1}
			if o, ok := left.Lookup(topic, n); ok && o.Err == nil {
				p.Next, p.Of = o.At, gap.ParseTopics(o.Metadata)[topic]
			}
			from, _ := p.Resume(log)
			lag[topic] += log.End - from
		}
	}
	return lag, nil
}

// lagWithin bounds how long a scrape waits for the brokers.
const lagWithin = 2 * time.Second

// observeLag offers the lag as a metric. The brokers are asked when somebody
// asks for it, so that it is true while nothing is read; while they do not
// answer it is missing.
func (s *sink) observeLag(meter metric.Meter) (metric.Registration, error) {
	lag, err := meter.Int64ObservableGauge("gpumeter.sink.lag", metric.WithUnit("{record}"), metric.WithDescription("offsets that the sink's group has not stored yet"))
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(s.asking)
	return meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, lagWithin)
		defer cancel()
		topics, err := lagByTopic(ctx, admin, s.cfg.Group)
		if err != nil {
			s.env.Log.Debug("lag is not known", "error", err)
			return nil
		}
		for topic, n := range topics {
			o.ObserveInt64(lag, n, metric.WithAttributes(attribute.String("topic", topic)))
		}
		return nil
	}, lag)
}

// storedTopics lists the topics that have a table: all but the clock, what
// detectors read, what was said about findings, and what readers pass over.
func storedTopics() []string {
	var out []string
	for _, s := range schemas.Streams() {
		switch s.Name {
		case schemas.StreamTicks, schemas.StreamActivity, schemas.StreamNotices, schemas.StreamQuarantine:
		default:
			out = append(out, s.Topic())
		}
	}
	return out
}

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gpumeter/gpumeter/processor"
	"github.com/gpumeter/gpumeter/processor/meter"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink"
)

// tick names a horizon and returns the tick's offset.
func (p *pipeline) tick(ctx context.Context, horizon int64, final bool) (int64, error) {
	rec, err := wire.Encode("", []schemas.Tick{{Horizon: horizon, Final: final}})
	if err != nil {
		return 0, err
	}
	sent, err := p.client.ProduceSync(ctx, rec).First()
	if err != nil {
		return 0, fmt.Errorf("write the tick: %w", err)
	}
	return sent.Offset, nil
}

// settleWithin bounds the wait for the last row after the last fault: sessions of
// the dead expire first, then their successors recover.
const settleWithin = 2 * time.Minute

// settle names a horizon and waits until every partition has applied it, the
// detector has read what came of it, and the sink has stored both.
func (p *pipeline) settle(ctx context.Context, horizon int64, final bool) error {
	tick, err := p.tick(ctx, horizon, final)
	if err != nil {
		return err
	}
	waiting := ""
	settled, err := awaitFor(ctx, settleWithin, func(ctx context.Context) (bool, error) {
		waiting, err = p.behind(ctx, tick)
		return waiting == "", err
	})
	if !settled && err == nil {
		err = fmt.Errorf("not everything arrived within %v: waited for %s", settleWithin, waiting)
	}
	return err
}

// behind says who is not done yet, "" when all are.
func (p *pipeline) behind(ctx context.Context, tick int64) (string, error) {
	committed, err := p.admin.FetchOffsets(ctx, processor.DefaultConfig().Group)
	if err != nil {
		return "the group of processors", nil //nolint:nilerr // it is asked again
	}
	for n := range int32(partitions) {
		o, _ := committed.Lookup(schemas.Prefix+schemas.StreamSamples, n)
		if o.Metadata == "" {
			return fmt.Sprintf("the first commit of partition %d", n), nil
		}
		position, err := meter.ParsePosition(o.Metadata)
		if err != nil {
			return "", err
		}
		if position.Applied <= tick {
			return fmt.Sprintf("the processor of partition %d", n), nil
		}
	}
	lag, err := lag(ctx, p.admin, processor.DefaultDetect().Group, schemas.Prefix+schemas.StreamActivity)
	if err != nil || lag > 0 {
		return fmt.Sprintf("the detector, %d records behind (%v)", lag, err), nil
	}
	lag, err = sink.Lag(ctx, p.admin, sink.DefaultConfig().Group)
	if err != nil || lag > 0 {
		return fmt.Sprintf("the sink, %d records behind (%v)", lag, err), nil
	}
	return "", nil
}

// lag is how many offsets of a topic a group has not committed yet.
func lag(ctx context.Context, admin *kadm.Client, group, topic string) (lag int64, err error) {
	ends, err := admin.ListCommittedOffsets(ctx, topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return 0, err
	}
	committed, err := admin.FetchOffsets(ctx, group)
	if err != nil {
		return 0, err
	}
	ends.Each(func(end kadm.ListedOffset) {
		o, _ := committed.Lookup(topic, end.Partition)
		lag += max(0, end.Offset-max(0, o.At))
	})
	return lag, nil
}

package quarantine

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// topic holds what is passed over, one partition, for ever. It has a record for
// each death that was no chance, so it is small.
const topic = schemas.Prefix + schemas.StreamQuarantine

// Refresh reads what the group passes over. Call it before reading what another
// member may have read.
func (g *Guard) Refresh(ctx context.Context) error {
	opts := append(broker.ConsumerOptions(), kgo.ConsumeResetOffset(kgo.NoResetOffset()))
	client, err := kgo.NewClient(append(opts, g.cfg.Client...)...)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	rows, err := readAll(ctx, client, admin)
	if err != nil {
		return err
	}
	passed := map[Place]bool{}
	if len(rows) > 0 {
		topics, err := admin.ListTopics(ctx)
		if err != nil {
			return fmt.Errorf("quarantine: ask for the ids of the topics: %w", err)
		}
		for _, q := range rows {
			if q.Group == g.cfg.Group && q.TopicID == topics[q.Topic].ID.String() {
				passed[Place{q.Topic, q.Partition, q.Offset}] = true
			}
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.passed = passed
	return nil
}

// readAll reads the topic to its end.
func readAll(ctx context.Context, client *kgo.Client, admin *kadm.Client) (rows []schemas.Quarantined, err error) {
	starts, err1 := admin.ListStartOffsets(ctx, topic)
	ends, err2 := admin.ListCommittedOffsets(ctx, topic)
	if err := errors.Join(err1, err2, starts.Error(), ends.Error()); err != nil {
		return nil, fmt.Errorf("quarantine: list where %s ends: %w", topic, err)
	}
	from, _ := starts.Lookup(topic, 0)
	to, _ := ends.Lookup(topic, 0)
	if from.Offset >= to.Offset {
		return nil, nil
	}
	client.AddConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(from.Offset)}})
	for next := from.Offset; next < to.Offset; {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		for _, e := range fetches.Errors() {
			if broker.Classify(e.Err) != broker.Retry {
				return nil, fmt.Errorf("quarantine: read %s: %w", topic, e.Err)
			}
		}
		for it := fetches.RecordIter(); !it.Done(); {
			rec := it.Next()
			next = rec.Offset + 1
			// What cannot be read passes nothing over. Whoever meets the record that it
			// was about says so again.
			if more, err := wire.Decode(rows, rec); err == nil {
				rows = more
			}
		}
	}
	return rows, nil
}

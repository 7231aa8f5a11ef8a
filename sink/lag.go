package sink

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gpumeter/gpumeter/schemas"
)

// Lag is how many offsets of the topics are not committed by the group yet:
// zero means that everything published before the call, and not rolled back,
// can be queried. It asks the brokers, so any process may call it.
func Lag(ctx context.Context, admin *kadm.Client, group string) (int64, error) {
	topics := storedTopics()
	starts, err := admin.ListStartOffsets(ctx, topics...)
	if err != nil {
		return 0, fmt.Errorf("list the topics' starts: %w", err)
	}
	ends, err := admin.ListCommittedOffsets(ctx, topics...)
	if err != nil {
		return 0, fmt.Errorf("list the topics' ends: %w", err)
	}
	committed, err := admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // no sink has begun
		return 0, fmt.Errorf("fetch the offsets of group %s: %w", group, err)
	}
	var lag int64
	for _, partitions := range ends {
		for _, end := range partitions {
			if end.Err != nil {
				return 0, fmt.Errorf("end of %s/%d: %w", end.Topic, end.Partition, end.Err)
			}
			at := int64(0)
			if start, ok := starts.Lookup(end.Topic, end.Partition); ok {
				at = start.Offset
			}
			if c, ok := committed.Lookup(end.Topic, end.Partition); ok && c.Err == nil {
				at = max(at, c.At)
			}
			lag += max(0, end.Offset-at)
		}
	}
	return lag, nil
}

// storedTopics lists the topics that have a table: all but the clock, what
// detectors read, and what was said about findings.
func storedTopics() []string {
	var out []string
	for _, s := range schemas.Streams() {
		switch s.Name {
		case schemas.StreamTicks, schemas.StreamActivity, schemas.StreamNotices:
		default:
			out = append(out, s.Topic())
		}
	}
	return out
}

package run

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// behind is how many offsets of a topic a group has not committed yet. Records
// of transactions that are open or were rolled back count as little as they do
// for who reads committed ones.
func behind(ctx context.Context, admin *kadm.Client, group, topic string) (lag int64, err error) {
	ends, err := admin.ListCommittedOffsets(ctx, topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return 0, fmt.Errorf("list the ends of %s: %w", topic, err)
	}
	committed, err := admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // it has not begun
		return 0, fmt.Errorf("fetch the offsets of group %s: %w", group, err)
	}
	ends.Each(func(end kadm.ListedOffset) {
		at := int64(0)
		if c, ok := committed.Lookup(end.Topic, end.Partition); ok && c.Err == nil {
			at = max(at, c.At)
		}
		lag += max(0, end.Offset-at)
	})
	return lag, nil
}

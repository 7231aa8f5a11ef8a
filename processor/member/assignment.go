package member

import (
	"context"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// An Assignment is what the group has given to a member at one instant.
type Assignment struct {
	Changes    int  // how often it has changed
	Held       bool // false between a revocation and the assignment that follows
	Partitions []int32
}

// An assigned keeps the assignment. The balancer is eager: each session of the
// group brings the whole set, so a callback that the transaction session swallows
// (it reports one revocation between two ends of transactions) leaves nothing
// stale behind.
type assigned struct {
	mu  sync.Mutex
	now Assignment
}

func (a *assigned) change(held bool, partitions []int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = Assignment{Changes: a.now.Changes + 1, Held: held, Partitions: slices.Clone(partitions)}
}

func (a *assigned) get() Assignment {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *assigned) options(topic string) []kgo.Opt {
	return []kgo.Opt{
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, all map[string][]int32) { a.change(true, all[topic]) }),
		kgo.OnPartitionsRevoked(func(context.Context, *kgo.Client, map[string][]int32) { a.change(false, nil) }),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { a.change(false, nil) }),
	}
}

// Owns reports whether the member has a partition.
func (a Assignment) Owns(partition int32) bool { return slices.Contains(a.Partitions, partition) }

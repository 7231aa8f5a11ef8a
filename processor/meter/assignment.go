package meter

import (
	"context"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// An assignment is what the group has given to this member. The balancer is
// eager: each new session brings the whole set, so a callback that the
// transaction session swallows (it reports one revocation between two ends of
// transactions) leaves nothing stale behind.
type assignment struct {
	mu  sync.Mutex
	set assigned
}

// assigned is an assignment at one instant.
type assigned struct {
	changes int     // how often it has changed
	held    bool    // false between a revocation and the assignment that follows
	samples []int32 // partitions
}

func (a *assignment) change(held bool, samples []int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set = assigned{changes: a.set.changes + 1, held: held, samples: slices.Clone(samples)}
}

func (a *assignment) now() assigned {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.set
}

func (a *assignment) owns(partition int32) bool { return slices.Contains(a.now().samples, partition) }

func (a *assignment) options() []kgo.Opt {
	return []kgo.Opt{
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, all map[string][]int32) {
			a.change(true, all[samplesTopic()])
		}),
		kgo.OnPartitionsRevoked(func(context.Context, *kgo.Client, map[string][]int32) { a.change(false, nil) }),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) { a.change(false, nil) }),
	}
}

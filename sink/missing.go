package sink

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/gap"
)

// letters are those of gaps that are not stored yet: gaps are found when the group
// gives partitions, by another goroutine than the one that fills batches.
type letters struct {
	mu    sync.Mutex
	found []schemas.DeadLetter
}

func (g *letters) add(l schemas.DeadLetter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.found = append(g.found, l)
}

// take hands over what was found since it was last asked.
func (g *letters) take() []schemas.DeadLetter {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.found
	g.found = nil
	return found
}

// miss tells of a gap everywhere where somebody may look: in the log, as a metric, as a
// dead letter. It is an error where reading on would do harm.
func (s *sink) miss(ctx context.Context, g *gap.Gap) error {
	g.Group = s.cfg.Group
	l := g.Letter(follows(g))
	s.counts.change(func(c *Stats) { c.Lost[g.Topic] += l.Count })
	s.env.Log.Error("records are lost", "kind", g.Kind, "topic", g.Topic, "partition", g.Partition, "records", l.Count, "detail", l.Detail)
	if !harmful(g) {
		s.found.add(l)
		return nil
	}
	err := fmt.Errorf("%s; %s", g, follows(g))
	if failed := s.tellBrokers(ctx, l); failed != nil {
		return fmt.Errorf("%w (%w)", err, failed)
	}
	return err
}

// harmful reports whether reading on would make newer facts lose against older
// ones: offsets are used again, and with them the versions of cells.
func harmful(g *gap.Gap) bool {
	return g.Kind == gap.Cut && g.Topic == schemas.Prefix+schemas.StreamCost
}

// follows says what becomes of a gap.
func follows(g *gap.Gap) string {
	switch {
	case harmful(g):
		return fmt.Sprintf("newer facts would lose against older ones. Stop processors and sinks, delete the topic (kafka-topics.sh --bootstrap-server BROKER --delete --topic %s) "+
			"and start them: the new topic gets a new generation, which wins", g.Topic)
	case g.Kind == gap.Expired:
		return "ClickHouse does not have them; what is left is read"
	case g.Kind == gap.Recreated:
		return "the new one is read from its start"
	}
	return "the partition is read from its start, which doubles nothing"
}

// tellBrokers writes the letter of a sink that is about to end where its successor
// finds it.
func (s *sink) tellBrokers(ctx context.Context, l schemas.DeadLetter) error {
	opts, err := s.cfg.Broker.Options("gpumeter-sink-gap")
	if err != nil {
		return err
	}
	return gap.Tell(ctx, opts, l)
}

// tellGaps puts letters of gaps into the batch.
func (s *sink) tellGaps() {
	for _, l := range s.found.take() {
		s.begin()
		s.batch.tell(l, time.Now().UnixMilli())
	}
}

// watch notices that retention has passed the sink while it read: the client
// then goes on at the start of what is left. Offsets may jump for another
// reason, records of transactions that were rolled back, but not past the start.
func (s *sink) watch(ctx context.Context, p kgo.FetchTopicPartition) error {
	if len(p.Records) == 0 {
		return nil
	}
	first, last := p.Records[0].Offset, p.Records[len(p.Records)-1].Offset
	due := s.owned.read(p.Topic, p.Partition, last+1)
	if due < 0 || first <= due || p.LogStartOffset <= due {
		return nil
	}
	return s.miss(ctx, &gap.Gap{
		Kind: gap.Expired, Place: gap.Place{Topic: p.Topic, Partition: p.Partition, Next: due}, Log: gap.Log{Start: min(first, p.LogStartOffset)},
	})
}

package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas/gap"
)

// resume is asked by the client where to read partitions that the group has
// given to this member. The client's own answer to an offset that is not there
// is to go elsewhere without a word, and it cannot know that an offset belongs
// to a topic that was deleted.
func (s *sink) resume(ctx context.Context, given map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	logs, err := s.look(ctx, slices.Collect(maps.Keys(given)))
	if err != nil {
		return nil, err
	}
	left, err := leftBy(ctx, kadm.NewClient(s.asking), s.cfg.Group)
	if err != nil {
		return nil, err
	}
	kept := gap.Kept(left)
	for topic, partitions := range given {
		for n, at := range partitions {
			p := gap.Place{Topic: topic, Partition: n, Next: at.EpochOffset().Offset, Of: kept[topic]}
			if o, ok := left.Lookup(topic, n); ok && p.Next >= 0 {
				p.Of = gap.ParseTopics(o.Metadata)[topic]
			}
			from, missing := p.Resume(logs[topic][n])
			if missing != nil {
				if err := s.miss(ctx, missing); err != nil {
					return nil, err
				}
				// Without an epoch: that of the former place says nothing here.
				partitions[n] = kgo.NewOffset().At(from).WithEpoch(-1)
			}
			s.owned.begin(topic, n, from)
		}
	}
	return given, nil
}

// look asks for the partitions of topics, which must be the topics of the start.
func (s *sink) look(ctx context.Context, topics []string) (gap.Logs, error) {
	admin := kadm.NewClient(s.asking)
	ids, err := gap.Identify(ctx, admin, topics...)
	if err != nil {
		return nil, err
	}
	for _, topic := range topics {
		if id, there := ids[topic]; !there || id != s.ids[topic] {
			return nil, fmt.Errorf("%s %w", topic, errGone)
		}
	}
	return gap.Look(ctx, admin, topics...)
}

// leftBy fetches what a group has committed, which may be nothing.
func leftBy(ctx context.Context, admin *kadm.Client, group string) (kadm.OffsetResponses, error) {
	left, err := admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // no sink has begun
		return nil, fmt.Errorf("fetch the offsets of group %s: %w", group, err)
	}
	return left, nil
}

// errGone ends a sink when a topic is another one than at the start. Its records must
// not be stored under the generation of the former.
var errGone = errors.New("was deleted, or deleted and made again, while the sink ran: start processors and sinks again; they make it where it is missing, and its facts will be newer than all that are stored")

// sign says of which topic each offset is, and of which topics the group's offsets are:
// brokers forget those of a topic that is deleted (package gap).
func (s *sink) sign(request *kmsg.OffsetCommitRequest) error {
	for i := range request.Topics {
		t := &request.Topics[i]
		text := gap.Topics{t.Topic: s.ids[t.Topic]}.String()
		for j := range t.Partitions {
			t.Partitions[j].Metadata = &text
		}
	}
	kept := kmsg.NewOffsetCommitRequestTopicPartition()
	kept.Metadata = kmsg.StringPtr(s.ids.String())
	keeper := kmsg.NewOffsetCommitRequestTopic()
	keeper.Topic, keeper.Partitions = gap.Keeper, append(keeper.Partitions, kept)
	request.Topics = append(request.Topics, keeper)
	return nil
}

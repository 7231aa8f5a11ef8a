package sink

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// resume is asked by the client where to read partitions that the group has
// given to this member. The client's own answer to an offset that is not there
// is to go elsewhere without a word, and it cannot know that an offset belongs
// to a topic that was deleted: the metadata of a committed offset holds the id
// of the topic that it counts in.
func (s *sink) resume(ctx context.Context, given map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	places, err := s.places(ctx, given)
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		from, lost := p.resume()
		if lost != nil {
			if err := s.alarm(lost); err != nil {
				return nil, err
			}
			// Without an epoch: that of the former place says nothing here.
			given[p.topic][p.partition] = kgo.NewOffset().At(from).WithEpoch(-1)
		}
		s.owned.begin(p.topic, p.partition, from)
	}
	return given, nil
}

// places asks the brokers about partitions.
func (s *sink) places(ctx context.Context, given map[string]map[int32]kgo.Offset) ([]place, error) {
	var topics []string
	for topic := range given {
		topics = append(topics, topic)
	}
	ids, err := topicIDs(ctx, s.asking, topics...)
	if err != nil {
		return nil, err
	}
	admin := kadm.NewClient(s.asking)
	starts, err1 := admin.ListStartOffsets(ctx, topics...)
	ends, err2 := admin.ListEndOffsets(ctx, topics...)
	left, err3 := admin.FetchOffsets(ctx, s.cfg.Group)
	if errors.Is(err3, kerr.GroupIDNotFound) { // nobody has committed anything
		err3 = nil
	}
	if err := errors.Join(err1, err2, err3, starts.Error(), ends.Error()); err != nil {
		return nil, fmt.Errorf("ask for the bounds of topics: %w", err)
	}
	var out []place
	for topic, partitions := range given {
		if ids[topic] != s.ids[topic] {
			return nil, s.gone(topic)
		}
		for n, at := range partitions {
			p := place{topic: topic, partition: n, committed: at.EpochOffset().Offset, id: ids[topic]}
			if start, ok := starts.Lookup(topic, n); ok {
				p.start = start.Offset
			}
			if end, ok := ends.Lookup(topic, n); ok {
				p.end = end.Offset
			}
			if c, ok := left.Lookup(topic, n); ok {
				p.of = c.Metadata
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// gone is the error of a topic that is another one than at the start. Its
// records must not be stored under the generation of the former.
func (s *sink) gone(topic string) error {
	return fmt.Errorf("%s was deleted, or deleted and made again, while the sink ran: start processors and sinks again; they make it where it is missing, and its facts will be newer than all that are stored", topic)
}

// alarm tells of a loss. It is an error where reading on would do harm.
func (s *sink) alarm(l *loss) error {
	s.counts.change(func(c *Stats) { c.Lost[l.topic] += l.records })
	if l.final() {
		return l
	}
	s.env.Log.Error("records are lost", "kind", l.kind, "topic", l.topic, "partition", l.partition, "records", l.records, "error", l)
	s.found.add(l)
	return nil
}

// watch notices that retention has passed the sink while it read: the client
// then goes on at the start of what is left. Offsets may jump for another
// reason, records of transactions that were rolled back, but not past the start.
func (s *sink) watch(p kgo.FetchTopicPartition) error {
	if len(p.Records) == 0 {
		return nil
	}
	first, last := p.Records[0].Offset, p.Records[len(p.Records)-1].Offset
	due := s.owned.read(p.Topic, p.Partition, last+1)
	if due < 0 || first <= due || p.LogStartOffset <= due {
		return nil
	}
	to := min(first, p.LogStartOffset)
	return s.alarm(&loss{kind: expired, records: to - due, place: place{topic: p.Topic, partition: p.Partition, committed: due, start: to}})
}

// topicIDs asks the brokers, not the client's cache, for the ids of topics that
// exist. Brokers before 2.8 give none: "".
func topicIDs(ctx context.Context, client *kgo.Client, topics ...string) (map[string]string, error) {
	request := kmsg.NewPtrMetadataRequest()
	for _, topic := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(topic)
		request.Topics = append(request.Topics, t)
	}
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("ask for the ids of topics: %w", err)
	}
	ids := map[string]string{}
	for i := range response.Topics {
		t := &response.Topics[i]
		err := kerr.ErrorForCode(t.ErrorCode)
		switch {
		case t.Topic == nil, errors.Is(err, kerr.UnknownTopicOrPartition):
		case err != nil:
			return nil, fmt.Errorf("ask for the id of %s: %w", *t.Topic, err)
		case t.TopicID == [16]byte{}:
			ids[*t.Topic] = ""
		default:
			ids[*t.Topic] = kadm.TopicID(t.TopicID).String()
		}
	}
	return ids, nil
}

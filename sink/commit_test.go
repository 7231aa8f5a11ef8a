package sink

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gpumeter/gpumeter/schemas/gap"
	"github.com/gpumeter/gpumeter/sink/insert"
)

// A commit that is refused while the group rebalances is tried again, though
// nothing new comes: otherwise the last offsets would never be told.
func TestRefusedCommitIsOwed(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := valid()
	c.Broker.Brokers, c.Topics.Partitions, c.Topics.Replication = fake.ListenAddrs(), 1, 1
	c.Flush.Every = 10 * time.Millisecond
	refused := make(chan struct{})
	fake.ControlKey(int16(kmsg.OffsetCommit), func(r kmsg.Request) (kmsg.Response, error, bool) {
		close(refused)
		request := r.(*kmsg.OffsetCommitRequest)
		response := request.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, topic := range request.Topics {
			t := kmsg.NewOffsetCommitResponseTopic()
			t.Topic, t.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				t.Partitions = append(t.Partitions, kmsg.OffsetCommitResponseTopicPartition{Partition: p.Partition, ErrorCode: kerr.RebalanceInProgress.Code})
			}
			response.Topics = append(response.Topics, t)
		}
		return response, nil, true
	})
	raise(t, c)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	s := started(t, c, strings.Replace(server.URL, "http://", "http://u:p@", 1))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.consume(ctx) }()
	<-refused
	deadline, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	for lag := int64(1); lag > 0; {
		if lag, err = Lag(deadline, kadm.NewClient(s.asking), c.Group); err != nil {
			t.Fatalf("lag %d: %v", lag, err)
		}
	}
	cancel()
	if err := end(ctx, <-done); err != nil {
		t.Error(err)
	}
}

// Brokers that go away between two steps of a start are waited for.
func TestBrokersThatGoAwayDuringTheStart(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c := valid()
	c.Broker.Brokers, c.Topics.Partitions, c.Topics.Replication = fake.ListenAddrs(), 1, 1
	raise(t, c)
	var asked atomic.Int32
	fake.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		request := r.(*kmsg.ListOffsetsRequest)
		if asked.Add(1) > 2 {
			return nil, nil, false
		}
		fake.KeepControl()
		response := request.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range request.Topics {
			t := kmsg.NewListOffsetsResponseTopic()
			t.Topic = topic.Topic
			for _, p := range topic.Partitions {
				t.Partitions = append(t.Partitions, kmsg.ListOffsetsResponseTopicPartition{Partition: p.Partition, ErrorCode: kerr.OffsetNotAvailable.Code})
			}
			response.Topics = append(response.Topics, t)
		}
		return response, nil, true
	})
	started(t, c, "http://u:p@127.0.0.1:1")
	if n := asked.Load(); n < 3 {
		t.Errorf("asked %d times: nothing was refused", n)
	}
}

// started is a sink that has found its tables, whose inserts go to dsn.
func started(t *testing.T, c Config, dsn string) *sink {
	t.Helper()
	var logs logged
	s := &sink{cfg: c, env: logs.env(), counts: newCounts(), life: t.Context()}
	t.Cleanup(s.close)
	var err error
	opts, err := c.Broker.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	if s.asking, err = kgo.NewClient(opts...); err != nil {
		t.Fatal(err)
	}
	if s.ids, err = gap.Identify(t.Context(), kadm.NewClient(s.asking), storedTopics()...); err != nil {
		t.Fatal(err)
	}
	if s.server, err = insert.New(dsn); err != nil {
		t.Fatal(err)
	}
	if err := s.join(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

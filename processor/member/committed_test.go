package member

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The first offset of a partition may be in a transaction that is still open when
// the partition gets another owner: it is waited for, not taken for none.
func TestFirstCommitIsWaitedFor(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(fake.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	m, err := Join(t.Context(), Config{
		Client: []kgo.Opt{kgo.SeedBrokers(fake.ListenAddrs()...)}, Group: "g", Instance: "second", Timeout: time.Minute,
		Topics: []string{"t"}, Admin: kadm.NewClient(client), Of: func(string, string) uint32 { return 0 },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Leave()

	for !m.Assigned().Held { // before, the broker knows no such group
		runtime.Gosched()
	}
	end := firstOffset(t, client, 12)
	got := make(chan error, 1)
	go func() {
		_, err := m.Committed(t.Context(), []int32{0}, slog.Default())
		got <- err
	}()
	for range 100 { // longer than an answer takes
		if err := m.settled(t.Context(), []int32{0}); !errors.Is(err, kerr.UnstableOffsetCommit) {
			t.Fatalf("the offset is settled while its transaction is open: %v", err)
		}
	}
	select {
	case err := <-got:
		t.Fatalf("was not waited for: %v", err)
	default:
	}
	end()
	if err := <-got; err != nil {
		t.Error(err)
	}
	for at := int64(-1); at != 12; { // the embedded broker ends a transaction bit by bit
		all, err := m.Committed(t.Context(), []int32{0}, slog.Default())
		if err != nil {
			t.Fatal(err)
		}
		o, _ := all.Lookup("t", 0)
		at = o.At
	}
}

// firstOffset commits an offset of partition 0 of t in a transaction, which end ends.
func firstOffset(t *testing.T, client *kgo.Client, offset int64) (end func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	check := func(code int16, err error) {
		t.Helper()
		if err == nil {
			err = kerr.ErrorForCode(code)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	begin := kmsg.NewPtrInitProducerIDRequest()
	begin.TransactionalID, begin.TransactionTimeoutMillis, begin.ProducerID, begin.ProducerEpoch = kmsg.StringPtr("first"), 60_000, -1, -1
	as, err := begin.RequestWith(ctx, client)
	check(as.ErrorCode, err)
	group := kmsg.NewPtrAddOffsetsToTxnRequest()
	group.TransactionalID, group.ProducerID, group.ProducerEpoch, group.Group = "first", as.ProducerID, as.ProducerEpoch, "g"
	added, err := group.RequestWith(ctx, client)
	check(added.ErrorCode, err)
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.Group, commit.ProducerID, commit.ProducerEpoch, commit.Generation = "first", "g", as.ProducerID, as.ProducerEpoch, -1
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Offset = offset
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	listed, err := kadm.NewClient(client).ListTopics(ctx, "t")
	check(0, err)
	topic.Topic, topic.TopicID, topic.Partitions = "t", listed["t"].ID, append(topic.Partitions, p)
	commit.Topics = append(commit.Topics, topic)
	committed, err := commit.RequestWith(ctx, client)
	check(committed.Topics[0].Partitions[0].ErrorCode, err)
	return func() {
		e := kmsg.NewPtrEndTxnRequest()
		e.TransactionalID, e.ProducerID, e.ProducerEpoch, e.Commit = "first", as.ProducerID, as.ProducerEpoch, true
		ended, err := e.RequestWith(ctx, client)
		check(ended.ErrorCode, err)
	}
}

package kafka_test

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// ensured makes the topics from several starters at once, as stages do that are
// started together, and looks at what there is.
func ensured(t *testing.T, c *kafka.Cluster, copies int) {
	t.Helper()
	conf := broker.Config{Brokers: c.Addresses(kafka.Plaintext)}
	starters := make(chan error)
	for range 4 {
		cl := client(t, conf)
		go func() {
			n, err := broker.Ensure(within(t), cl, broker.Layout{Partitions: 5, Replication: -1})
			if err == nil && n != 5 {
				t.Errorf("%d partitions", n)
			}
			starters <- err
		}()
	}
	for range 4 {
		if err := <-starters; err != nil {
			t.Error(err)
		}
	}
	cl := client(t, conf)
	topics, err := kadm.NewClient(cl).ListTopics(within(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range schemas.Streams() {
		made, want := topics[s.Topic()], 1
		if s.Partitioned {
			want = 5
		}
		if made.Err != nil || len(made.Partitions) != want {
			t.Errorf("%s: %d partitions, want %d (%v)", s.Topic(), len(made.Partitions), want, made.Err)
		}
		for n, p := range made.Partitions {
			if len(p.Replicas) != copies {
				t.Errorf("%s partition %d has %d copies, want %d", s.Topic(), n, len(p.Replicas), copies)
			}
		}
		rec := &kgo.Record{Topic: s.Topic(), Value: make([]byte, 2<<20)} // more than brokers take by default
		if err := cl.ProduceSync(within(t), rec).FirstErr(); err != nil {
			t.Errorf("%s: %v", s.Topic(), err)
		}
	}
}

// changesAreRefused: what a person has changed is refused with what mends it.
func changesAreRefused(t *testing.T, c *kafka.Cluster) {
	cl := client(t, broker.Config{Brokers: c.Addresses(kafka.Plaintext)})
	adm := kadm.NewClient(cl)
	for _, change := range []struct{ topic, setting, value, said string }{
		{"gpumeter.samples", "retention.ms", "1000", "retention.ms is 1000, must be at least 3888000000"},
		{"gpumeter.cost", "cleanup.policy", "compact", "cleanup.policy is compact, must be delete"},
		{"gpumeter.ticks", "message.timestamp.type", "CreateTime", "message.timestamp.type is CreateTime, must be LogAppendTime"},
		{"gpumeter.prices", "retention.bytes", "1000000", "retention.bytes is 1000000, must be -1 (no limit)"},
		{"gpumeter.findings", "max.message.bytes", "1000", "max.message.bytes is 1000, must be at least 4194304"},
	} {
		set(t, adm, change.topic, change.setting, change.value)
		_, err := broker.Ensure(within(t), cl, broker.DefaultLayout())
		if err == nil {
			t.Errorf("%+v is not refused", change)
			continue
		}
		for _, part := range []string{change.topic, change.said, "kafka-configs.sh"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v does not say %q", err, part)
			}
		}
		// The fix is at the end, as --add-config setting=value.
		_, fix, _ := strings.Cut(err.Error(), "--add-config ")
		setting, value, _ := strings.Cut(fix, "=")
		set(t, adm, change.topic, setting, value)
		if _, err := broker.Ensure(within(t), cl, broker.DefaultLayout()); err != nil {
			t.Errorf("after the fix: %v", err)
		}
	}
	if _, err := adm.CreatePartitions(within(t), 1, "gpumeter.cost"); err != nil {
		t.Fatal(err)
	}
	_, err := broker.Ensure(within(t), client(t, broker.Config{Brokers: c.Addresses(kafka.Plaintext)}), broker.DefaultLayout())
	if err == nil || !strings.Contains(err.Error(), "topic gpumeter.cost: partitions is 6, must be 5") {
		t.Errorf("partitions that differ: %v", err)
	}
}

// set changes a setting of a topic and waits until it shows.
func set(t *testing.T, adm *kadm.Client, topic, setting, value string) {
	t.Helper()
	if _, err := adm.AlterTopicConfigs(within(t), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: setting, Value: &value}}, topic); err != nil {
		t.Fatal(err)
	}
	for ctx := within(t); ; {
		all, err := adm.DescribeTopicConfigs(ctx, topic)
		if err != nil {
			t.Fatal(err)
		}
		now, err := all.On(topic, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, have := range now.Configs {
			if have.Key == setting && have.MaybeValue() == value {
				return
			}
		}
	}
}

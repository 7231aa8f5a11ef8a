package kafka_test

import (
	"context"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/deploy/kafka/kafkatest"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

func TestMain(m *testing.M) {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// patience is for what takes some seconds on an idle machine.
const patience = 5 * time.Minute

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// client is a client as the stages make theirs.
func client(t *testing.T, c broker.Config, more ...kgo.Opt) *kgo.Client {
	t.Helper()
	opts, err := c.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(append(opts, broker.ProducerOptions()...), more...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func makeTopic(t *testing.T, cl *kgo.Client, partitions int32) {
	t.Helper()
	if _, err := kadm.NewClient(cl).CreateTopic(within(t), partitions, -1, nil, "numbers"); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, cl *kgo.Client, value string) {
	t.Helper()
	if err := cl.ProduceSync(within(t), &kgo.Record{Topic: "numbers", Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// read gives the first n values of the topic.
func read(t *testing.T, c broker.Config, n int) (values []string) {
	t.Helper()
	cl := client(t, c, kgo.ConsumeTopics("numbers"), kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()))
	ctx := within(t)
	for len(values) < n {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d values: %v", len(values), n, values)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func TestOneNode(t *testing.T) {
	c := kafkatest.Start(t, kafka.Options{})
	t.Run("topics are made", func(t *testing.T) { ensured(t, c, 1) })
	t.Run("topics that were changed are refused", func(t *testing.T) { changesAreRefused(t, c) })
	t.Run("what was acknowledged is kept", func(t *testing.T) { keepsWhatItAcknowledged(t, c) })
}

// keepsWhatItAcknowledged: it is there after a kill, and after a stop in order.
func keepsWhatItAcknowledged(t *testing.T, c *kafka.Cluster) {
	plain := broker.Config{Brokers: c.Addresses(kafka.Plaintext)}
	cl := client(t, plain)
	makeTopic(t, cl, 1)
	write(t, cl, "before")
	if err := c.Nodes()[0].Kill(); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", c.Addresses(kafka.Plaintext)[0]); err == nil {
		_ = conn.Close()
		t.Error("a killed node listens")
	}
	if err := c.Nodes()[0].Restart(within(t)); err != nil {
		t.Fatal(err)
	}
	write(t, cl, "after")
	if err := c.Nodes()[0].Restart(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, plain, 2); strings.Join(got, " ") != "before after" {
		t.Error(got)
	}
}

// Two of three are enough, one is not; who was away catches up.
func TestThreeNodesOutliveOne(t *testing.T) {
	c := kafkatest.Start(t, kafka.Options{Nodes: 3})
	ensured(t, c, 3)
	cl := client(t, broker.Config{Brokers: c.Addresses(kafka.Plaintext)})
	makeTopic(t, cl, 3)
	write(t, cl, "three")
	if err := c.Nodes()[0].Kill(); err != nil {
		t.Fatal(err)
	}
	write(t, cl, "two")
	if err := c.Nodes()[1].Pause(); err != nil {
		t.Fatal(err)
	}
	one := make(chan error, 1)
	cl.Produce(within(t), &kgo.Record{Topic: "numbers", Value: []byte("one")}, func(_ *kgo.Record, err error) { one <- err })
	select {
	case err := <-one:
		t.Fatalf("acknowledged by one node of three: %v", err)
	case <-time.After(3 * time.Second): // nothing is to happen
	}
	if err := c.Nodes()[1].Resume(); err != nil {
		t.Fatal(err)
	}
	if err := <-one; err != nil {
		t.Fatal(err)
	}
	if err := c.Nodes()[0].Restart(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitInSync(within(t)); err != nil {
		t.Fatal(err)
	}
}

// A proxy before a listener is what its clients are sent to, and only they.
func TestAdvertisedAddressesAreTheCallers(t *testing.T) {
	kafkatest.Need(t)
	const bypass kafka.Listener = "BYPASS"
	told := map[string]string{}
	c := kafkatest.Start(t, kafka.Options{More: []kafka.Listener{bypass}, Advertise: func(node int, l kafka.Listener, listen string) string {
		if node != 1 || l != kafka.Plaintext && l != bypass {
			t.Errorf("asked for node %d, %s", node, l)
		}
		if l == bypass {
			return listen
		}
		host, port, err := net.SplitHostPort(listen)
		if err != nil {
			t.Error(err)
		}
		told[listen] = "localhost:" + port
		return strings.Replace(listen, host, "localhost", 1)
	}})
	for listener, host := range map[kafka.Listener]string{kafka.Plaintext: "localhost", bypass: "127.0.0.1"} {
		cl := client(t, broker.Config{Brokers: c.Addresses(listener)})
		known, err := kadm.NewClient(cl).ListBrokers(within(t))
		if err != nil || len(known) != 1 || known[0].Host != host {
			t.Errorf("%s: %+v, %v", listener, known, err)
		}
	}
	if len(told) != 1 {
		t.Errorf("asked for %v", told)
	}
}

// Why a node does not start is in the error.
func TestErrorHoldsTheLog(t *testing.T) {
	kafkatest.Need(t)
	c, err := kafka.Start(within(t), kafka.Options{Dir: t.TempDir(), Settings: map[string]string{"num.io.threads": "none"}})
	if err == nil {
		_ = c.Stop()
		t.Fatal("started")
	}
	if !strings.Contains(err.Error(), "num.io.threads") {
		t.Error(err)
	}
}

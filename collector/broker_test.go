package collector_test

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/contract"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// kafka is a broker in process.
type kafka struct {
	*kfake.Cluster
	config broker.Config
}

func newKafka(t *testing.T) kafka {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return kafka{c, broker.Config{Brokers: c.ListenAddrs()}}
}

// records reads all records of the topics of a stream, partition by partition.
func (k kafka) records(t *testing.T, stream string) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	topic := schemas.Prefix + stream
	opts, err := k.config.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	cl, err := kgo.NewClient(append(append(opts, broker.ConsumerOptions()...), kgo.ConsumeTopics(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	var got []*kgo.Record
	for int64(len(got)) < want {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		got = append(got, fetches.Records()...)
	}
	return got
}

// rows decodes all rows of a low-rate stream.
func rows[T wire.Row](t *testing.T, k kafka, stream string) []T {
	t.Helper()
	var all []T
	var err error
	for _, rec := range k.records(t, stream) {
		if all, err = wire.Decode(all, rec); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// samples decodes all samples, record by record.
func (k kafka) samples(t *testing.T) [][]contract.Sample {
	t.Helper()
	var all [][]contract.Sample
	var d wire.SampleDecoder
	var s schemas.Samples
	for _, rec := range k.records(t, schemas.StreamSamples) {
		if err := d.Decode(&s, rec); err != nil {
			t.Fatal(err)
		}
		if string(rec.Key) != s.Node {
			t.Errorf("record of node %q has the key %q", s.Node, rec.Key)
		}
		var batch []contract.Sample
		for i := range s.TS {
			batch = append(batch, contract.Sample{
				Node: s.Node, Series: s.Series[s.Index[i]], TS: s.TS[i], Utilization: s.Utilization[i], SMActive: s.SMActive[i],
				TensorActive: s.TensorActive[i], DRAMActive: s.DRAMActive[i], MemoryUsed: s.MemoryUsed[i], Power: s.Power[i],
				Energy: s.Energy[i], Temperature: s.Temperature[i],
			})
		}
		all = append(all, batch)
	}
	return all
}

package broker

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// MaxRecordBytes bounds a record batch, and so a record. A line of the input is
// at most 1 MiB and grows to less than twice that in Arrow; a cost message is a
// few thousand rows. Kafka's default of 1 MB would refuse the largest of them.
// Topics are created with it as max.message.bytes.
const MaxRecordBytes = 4 << 20

// bufferedBytes is what a producer holds before Produce blocks.
const bufferedBytes = 64 << 20

// Options are what every client has, with clientID in the brokers' logs.
func (c Config) Options(clientID string) ([]kgo.Opt, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	security, err := c.security()
	if err != nil {
		return nil, err
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(clientID),
		// A topic that is missing is an error, not one partition with the
		// broker's defaults: Ensure makes topics as they must be.
		// (AllowAutoTopicCreation is off unless asked for.)
		//
		// What a client does is at its /metrics. Brokers that ask it to push the
		// same to them make it hold compressors of 8 MB, most of what an agent
		// needs otherwise.
		kgo.DisableClientMetrics(),
		// New partitions and leaders are seen within this time at the latest.
		kgo.MetadataMaxAge(time.Minute),
	}
	return slices.Concat(opts, security, c.More), nil
}

// ProducerOptions make a producer that loses nothing, doubles nothing and
// holds a bounded amount.
func ProducerOptions() []kgo.Opt {
	return []kgo.Opt{
		// Idempotence is kgo's default and stays on: a retried batch is stored
		// once, in order. It needs the acknowledgement of all in-sync replicas,
		// which is also what makes "acknowledged" mean "survives a broker".
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// No limit on retries or time: while the brokers are away the buffer
		// fills, Produce blocks and the source waits. Nothing is given up but
		// by the caller's context.
		kgo.RecordRetries(1 << 30),
		// A topic that somebody deleted fails after some seconds, since waiting
		// for it would hide that.
		kgo.UnknownTopicRetries(8),
		kgo.MaxBufferedBytes(bufferedBytes),
		// Records are messages of many rows: the byte bound is the one that
		// counts, this one only bounds the bookkeeping of tiny ones.
		kgo.MaxBufferedRecords(64 << 10),
		kgo.ProducerBatchMaxBytes(MaxRecordBytes),
		// Values are zstd already; compressing them once more costs time on
		// both ends and gains about nothing.
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		// The publisher has waited for its batches; this only lets the nodes
		// that are sent at one instant share a request.
		kgo.ProducerLinger(5 * time.Millisecond),
		// Keys go where Kafka's own clients send them (murmur2), so that any
		// producer of the contract lands on the same partition.
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	}
}

// ConsumerOptions make a consumer that sees committed records only and holds a
// bounded amount. Topics, groups and offsets are the caller's.
func ConsumerOptions() []kgo.Opt {
	return []kgo.Opt{
		// Cells of an aborted transaction do not exist.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		// One fetch at a time of at most this size per broker is what memory
		// holds beside the batch in work.
		kgo.FetchMaxBytes(32 << 20),
		kgo.FetchMaxPartitionBytes(MaxRecordBytes),
		// An idle broker answers after this time at the latest: a bound on
		// wake-ups, not on latency, since one byte is enough to answer at once.
		kgo.FetchMaxWait(500 * time.Millisecond),
		kgo.FetchMinBytes(1),
	}
}

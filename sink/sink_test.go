package sink

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func valid() Config {
	c := DefaultConfig()
	c.Broker.Brokers, c.ClickHouse = []string{"k:9092"}, "clickhouse://h:9000"
	return c
}

func TestConfigIsRefusedWithItsReason(t *testing.T) {
	if err := valid().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"brokers:":                       func(c *Config) { c.Broker.Brokers = nil },
		"clickhouse: none given":         func(c *Config) { c.ClickHouse = "" },
		"scheme \"mysql\"":               func(c *Config) { c.ClickHouse = "mysql://h" },
		"group: empty":                   func(c *Config) { c.Group = "" },
		"stores already":                 func(c *Config) { c.Notify.Group = c.Group },
		"slack.timeout: 0s":              func(c *Config) { c.Slack.Timeout = 0 },
		"notify.storm.alerts: -1":        func(c *Config) { c.Notify.Storm.Alerts = -1 },
		"flush.rows: 0":                  func(c *Config) { c.Flush.Rows = 0 },
		"flush.bytes: 1 is not":          func(c *Config) { c.Flush.Bytes = 1 },
		"flush.every: 1h0m0s is not":     func(c *Config) { c.Flush.Every = time.Hour },
		"partitions: 0 is not from 1 to": func(c *Config) { c.Topics.Partitions = 0 },
	} {
		c := valid()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestEveryStreamWithATableIsStored(t *testing.T) {
	b := newBatch(0)
	defer b.close()
	for _, topic := range storedTopics() {
		if b.readers[topic] == nil {
			t.Errorf("nobody reads %s", topic)
		}
	}
	if len(b.topics()) != len(storedTopics()) {
		t.Errorf("the sink reads %v", b.topics())
	}
}

func TestDamagedRecordMovesTheOffsetAndIsReportedByOne(t *testing.T) {
	b := newBatch(0)
	defer b.close()
	for _, stream := range []string{schemas.StreamCost, schemas.StreamDeadLetters, schemas.StreamSamples, schemas.StreamTags} {
		rec := &kgo.Record{Topic: schemas.Prefix + stream, Partition: 3, Offset: 7, Value: make([]byte, schemas.MaxPayload+1)}
		if err := b.add(rec); err == nil {
			t.Errorf("%s: noise was read", stream)
		}
		if at := b.next[rec.Topic][3].Offset; at != 8 {
			t.Errorf("%s: the next offset is %d, want 8", stream, at)
		}
	}
	if b.letters.Rows() != 2 {
		t.Errorf("%d letters, want one for cost and one for dead_letters", b.letters.Rows())
	}
	b.reset()
	if !b.empty() || b.letters.Rows() != 0 || b.rows != 0 || b.bytes != 0 {
		t.Error("reset leaves something")
	}
}

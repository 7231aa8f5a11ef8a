package sink

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/sink/notify"
	"github.com/gpumeter/gpumeter/sink/slack"
)

// Config is the sink's configuration.
type Config struct {
	Broker     broker.Config `koanf:",squash"`
	Topics     broker.Layout `koanf:",squash"`
	ClickHouse string        `koanf:"clickhouse" secret:"address" doc:"where facts go: clickhouse://user@host:9000 or http://user@host:8123; the password there, or in ?password_file=PATH or ?password_env=NAME"`
	Migrate    bool          `koanf:"migrate" doc:"make and migrate the tables at the start; false = gpumeter migrate does it, as a user that may do more than this one"`
	Group      string        `koanf:"group" doc:"consumer group; sinks of one group share the partitions"`
	Quarantine string        `koanf:"quarantine" doc:"directory that outlives this process, for notes of what it reads: a record that has killed it twice is passed over; none = it kills for ever"`
	Flush      Flush         `koanf:"flush"`
	Slack      slack.Config  `koanf:"slack"`
	Notify     notify.Config `koanf:"notify"`
}

// Flush says when a batch is inserted: at the first of the three.
type Flush struct {
	Rows  int           `koanf:"rows" doc:"rows of a batch, over all tables"`
	Bytes int           `koanf:"bytes" doc:"bytes of the records of a batch, as they came"`
	Every time.Duration `koanf:"every" doc:"longest time that a row is held"`
}

// DefaultConfig lacks the brokers and the server. Its batches are large enough
// that ClickHouse's work per insert does not count, and small enough for a few
// tens of MB.
func DefaultConfig() Config {
	return Config{
		Topics: broker.DefaultLayout(), Migrate: true,
		Group:  "gpumeter-sink",
		Flush:  Flush{Rows: 100_000, Bytes: 16 << 20, Every: time.Second},
		Slack:  slack.DefaultConfig(),
		Notify: notify.DefaultConfig(),
	}
}

// Use is what a sink does with the brokers beside telling of alerts, which
// notify.Config says: it reads every stream that has a table.
func (c Config) Use() broker.Use {
	b := newBatch(0)
	defer b.close()
	u := broker.Use{
		Reads: []string{schemas.StreamQuarantine}, Writes: []string{schemas.StreamDeadLetters, schemas.StreamQuarantine}, Group: c.Group,
	}
	for _, topic := range b.topics() {
		u.Reads = append(u.Reads, strings.TrimPrefix(topic, schemas.Prefix))
	}
	return u
}

// Validate gives everything that is wrong, with the reasons.
func (c Config) Validate() error {
	errs := []error{c.Broker.Validate(), c.Topics.Validate(), c.Slack.Validate(), c.Notify.Validate()}
	if c.ClickHouse == "" {
		errs = append(errs, errors.New("clickhouse: none given: write clickhouse://user@host:9000"))
	} else if _, err := clickhouse.ParseDSN(c.ClickHouse); err != nil {
		errs = append(errs, err)
	}
	if c.Group == "" {
		errs = append(errs, errors.New("group: empty: the broker keeps the offsets under its name"))
	}
	if c.Group != "" && c.Group == c.Notify.Group {
		errs = append(errs, fmt.Errorf("notify.group: %q stores already: a group has one offset, and messages that fail must not hold rows up", c.Group))
	}
	if c.Flush.Rows < 1 || c.Flush.Rows > 1_000_000 {
		errs = append(errs, fmt.Errorf("flush.rows: %d is not from 1 to 1000000: a batch is in memory as a whole", c.Flush.Rows))
	}
	if c.Flush.Bytes < 1<<10 || c.Flush.Bytes > 1<<30 {
		errs = append(errs, fmt.Errorf("flush.bytes: %d is not from 1 KiB to 1 GiB: a batch is in memory as a whole", c.Flush.Bytes))
	}
	if c.Flush.Every < 10*time.Millisecond || c.Flush.Every > time.Minute {
		errs = append(errs, fmt.Errorf("flush.every: %v is not from 10ms to 1m: it is added to the age of every fact", c.Flush.Every))
	}
	return errors.Join(errs...)
}

package detect

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
)

// A Config says where a finder reads and writes, and by which rules.
type Config struct {
	Client   []kgo.Opt     // how to reach the brokers: broker.Config.Options
	Topics   broker.Layout // how topics are made where they are missing; zero = the default
	Group    string        // consumer group; default gpumeter-detect
	Instance string        // names this process among those of the group; a successor of the same name ends what its predecessor left open
	Idle     idle.Config   // the rule
	Timeout  time.Duration // after which the brokers abort an open transaction; default 1 min

	// Quarantine is the directory of the notes that find a record which kills the
	// process; empty = none are made.
	Quarantine string

	Meter metric.Meter // default: no metrics
	Log   *slog.Logger // default slog.Default()
}

// DefaultGroup is the consumer group of a finder.
const DefaultGroup = "gpumeter-detect"

const defaultTimeout = time.Minute

// withDefaults fills what is zero.
func (c Config) withDefaults() Config {
	c.Group = cmp.Or(c.Group, DefaultGroup)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	c.Topics = cmp.Or(c.Topics, broker.DefaultLayout())
	if c.Meter == nil {
		c.Meter = noop.Meter{}
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return c
}

func (c Config) validate() error {
	switch {
	case len(c.Client) == 0:
		return errors.New("no client options: name the brokers")
	case c.Instance == "":
		return errors.New("instance: empty: two processes of one transactional id end each other's transactions, so each needs a name of its own")
	case c.Timeout < 10*time.Second || c.Timeout > 15*time.Minute:
		return fmt.Errorf("transaction.timeout: %v is not from 10s to 15m: brokers refuse more, and less aborts transactions of a slow disk", c.Timeout)
	}
	return errors.Join(c.Topics.Validate(), c.Idle.Validate())
}

// Use is what a finder does with the brokers.
func (c Config) Use() broker.Use {
	return broker.Use{
		Reads:  []string{schemas.StreamActivity, schemas.StreamFindings, schemas.StreamQuarantine}, // findings: what was announced
		Writes: []string{schemas.StreamFindings, schemas.StreamDeadLetters, schemas.StreamQuarantine},
		Group:  cmp.Or(c.Group, DefaultGroup), Transactions: true, Instance: c.Instance,
	}
}

func (c Config) member(adm *kadm.Client) member.Config {
	return member.Config{
		Client: c.Client, Admin: adm, Group: c.Group, Instance: c.Instance, Topics: []string{activityTopic()}, Timeout: c.Timeout, Of: topicOf,
	}
}

func activityTopic() string { return schemas.Prefix + schemas.StreamActivity }
func findingsTopic() string { return schemas.Prefix + schemas.StreamFindings }

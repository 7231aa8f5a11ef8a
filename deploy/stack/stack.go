package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/deploy/broker"
	"github.com/gpumeter/gpumeter/deploy/chdb"
	kafka "github.com/gpumeter/gpumeter/schemas/broker"
)

// A Stack is a broker and a ClickHouse that answer.
type Stack struct {
	Broker     kafka.Config // how to reach the broker
	ClickHouse string       // DSN of the native protocol, or the one that was given
	HTTP       string       // URL of ClickHouse's HTTP protocol; "" where only a native DSN was given

	broker *broker.Server
	engine *chdb.Server
}

// Open starts what is embedded and returns when it answers. ctx bounds the
// start alone; Close ends what was started.
func Open(ctx context.Context, c Config, log *slog.Logger) (*Stack, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	at, err := httpURL(c.ClickHouse)
	if err != nil {
		return nil, err
	}
	s := &Stack{Broker: c.Broker, ClickHouse: c.ClickHouse, HTTP: at}
	if c.Data != "" {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return nil, fmt.Errorf("make the data directory: %w", err)
		}
	}
	if c.EmbedsClickHouse() {
		if s.engine, err = chdb.Start(ctx, chdb.Options{Dir: EngineDir(c.Data), NativeAddr: c.Listen.Native, HTTPAddr: c.Listen.HTTP, Log: log}); err != nil {
			return nil, err
		}
		s.ClickHouse, s.HTTP = s.engine.DSN(), s.engine.HTTPURL()
	}
	if err := s.openBroker(c, log); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenBroker is Open without ClickHouse.
func OpenBroker(c Config, log *slog.Logger) (*Stack, error) {
	s := &Stack{Broker: c.Broker}
	if err := s.openBroker(c, log); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Stack) openBroker(c Config, log *slog.Logger) (err error) {
	if !c.EmbedsBroker() {
		return nil
	}
	if s.broker, err = broker.Start(broker.Options{Dir: BrokerDir(c.Data), Listen: c.Listen.Kafka}); err != nil {
		return err
	}
	if s.broker.Killed() {
		log.Warn("the process that had this data directory before was killed: the embedded broker may have lost records; remove the directory and replay again if verify disagrees", "data", c.Data)
	}
	s.Broker = kafka.Config{Brokers: s.broker.Addresses()}
	return nil
}

// stopWithin bounds the stop of the engine.
const stopWithin = 10 * time.Second

// Close stops what Open started. What was acknowledged is on disk afterwards.
func (s *Stack) Close() error {
	var errs []error
	if s.broker != nil {
		errs = append(errs, s.broker.Stop())
	}
	if s.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
		defer cancel()
		errs = append(errs, s.engine.Stop(ctx))
	}
	return errors.Join(errs...)
}

// Client is a plain client of the broker.
func (s *Stack) Client(id string, more ...kgo.Opt) (*kgo.Client, error) {
	opts, err := s.Broker.Options(id)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	return client, nil
}

// Topics makes the topics that are missing and checks the others. It returns
// the number of partitions of the partitioned ones.
func (s *Stack) Topics(ctx context.Context, layout kafka.Layout) (int32, error) {
	client, err := s.Client("gpumeter")
	if err != nil {
		return 0, err
	}
	defer client.Close()
	partitions, err := kafka.Ensure(ctx, client, layout)
	if err != nil {
		return 0, fmt.Errorf("topics at %v: %w", s.Broker.Brokers, err)
	}
	return partitions, nil
}

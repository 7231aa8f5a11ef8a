package broker

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// everywhere reports whether each broker lists all topics: a client asks any of them,
// and takes the word of one that has not heard of a new topic. Brokers that do not
// answer are not asked by others either.
func everywhere(ctx context.Context, client *kgo.Client, streams []schemas.Stream) (bool, error) {
	for _, one := range client.DiscoveredBrokers() {
		there, err := listOn(ctx, one, streams)
		switch {
		case err != nil && ctx.Err() == nil && Classify(err) == Retry:
		case err != nil:
			return false, err
		case len(there) < len(streams):
			return false, nil
		}
	}
	return true, nil
}

// untilKnown does again what a broker refuses that has not heard of a topic which
// another one lists.
func untilKnown(ctx context.Context, do func() error) error {
	for deadline := time.Now().Add(spreadsWithin); ; {
		err := do()
		if !errors.Is(err, kerr.UnknownTopicOrPartition) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(askAgainAfter):
		}
	}
}

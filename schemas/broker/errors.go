package broker

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// An Action is what to do about an error.
type Action uint8

const (
	// Stop means that nothing this process can do mends it. It ends with the error.
	Stop Action = iota
	// Retry means that the broker is away, moving or busy; the same again may succeed.
	Retry
	// DeadLetter means that this record will never be accepted; the others may.
	DeadLetter
)

func (a Action) String() string { return [...]string{"stop", "retry", "dead letter"}[a] }

// Classify is the one place that decides what to do about an error of a Kafka
// client. What it does not know stops: guessing on would risk the ledger.
func Classify(err error) Action {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed), errors.Is(err, net.ErrClosed):
		return Stop
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge),
		errors.Is(err, kerr.InvalidRecord), errors.Is(err, kerr.InvalidTimestamp):
		return DeadLetter
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		// Retriable for Kafka, since metadata spreads; kgo has already retried
		// it, so the topic is gone.
		return Stop
	}
	var broker *kerr.Error
	if errors.As(err, &broker) {
		if broker.Retriable {
			return Retry
		}
		return Stop
	}
	var network net.Error
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, kgo.ErrRecordTimeout) || errors.Is(err, context.DeadlineExceeded) || kgo.IsRetryableBrokerErr(err) {
		return Retry
	}
	return Stop
}

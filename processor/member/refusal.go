package member

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas/broker"
)

// Nothing is written of a transaction that ends with one of these, and a new member of
// the same name may go on.
var (
	// ErrExpired says that it was open for longer than its timeout: the brokers, or
	// this process, stood still.
	ErrExpired = errors.New("the transaction was open for longer than transaction.timeout, and the brokers gave it up")
	// ErrForgotten says that this member had written none for so long (a week, unless
	// transactional.id.expiration.ms differs) that the brokers no longer know it.
	ErrForgotten = errors.New("the brokers have forgotten this member, which had nothing to write for long")
)

// Retry reports whether a new member may succeed where one has failed with err.
func Retry(err error) bool {
	return errors.Is(err, ErrExpired) || errors.Is(err, ErrForgotten) || broker.Classify(err) == broker.Retry
}

// judge tells the two reasons apart for which brokers refuse a transaction's
// producer. They say the same of both, but only one of them takes time: another
// process of this name ends a transaction at any age.
func (m *Member) judge(err error) error {
	switch {
	case errors.Is(err, kerr.InvalidProducerIDMapping):
		return fmt.Errorf("%w: %w", ErrForgotten, err)
	case !disowned(err):
		return err
	case time.Since(m.began) >= m.cfg.Timeout:
		return fmt.Errorf("%w: %w", ErrExpired, err)
	}
	return fmt.Errorf("another process is also called %s in group %s, and each ends the transactions of the other: give each a name (instance) of its own: %w",
		m.cfg.Instance, m.cfg.Group, err)
}

// disowned reports whether the brokers take a producer's transaction for over.
func disowned(err error) bool {
	for _, known := range []error{kerr.InvalidProducerEpoch, kerr.ProducerFenced, kerr.InvalidTxnState} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// A refusal is the first error of the records of a transaction. It belongs to the
// transaction: a record may be given up after the next one has begun.
type refusal struct {
	mu  sync.Mutex
	err error
}

func (r *refusal) note(rec *kgo.Record, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("writing %d bytes to %s partition %d: %w", len(rec.Value), rec.Topic, rec.Partition, err)
	}
}

func (r *refusal) first() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

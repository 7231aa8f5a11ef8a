package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A carrier brings records to the brokers.
type carrier interface {
	// send takes over p; it may block, as long as the carrier's doc says.
	send(p parcel)
	// flush waits until what was sent is safe, or ctx ends.
	flush(ctx context.Context) error
	// close ends the carrier; the context of its life has ended before.
	close() error
}

// direct hands records to the client and blocks while the brokers are away. It is
// for sources that can wait. Any failure is one of the Publisher.
type direct struct {
	*Publisher
	life   context.Context // of the records: not the context that stops reading
	client *kgo.Client
}

func (d *direct) send(p parcel) {
	d.client.Produce(d.life, p.record, func(_ *kgo.Record, err error) {
		if err != nil {
			_ = d.fail(fmt.Errorf("publish %d rows to %s: %w", p.rows, p.record.Topic, err))
			return
		}
		d.counts.acknowledged(p)
	})
}

func (d *direct) flush(ctx context.Context) error {
	if err := d.client.Flush(ctx); err != nil {
		return errors.Join(d.failed(), fmt.Errorf("flush: %d records are not acknowledged: %w", d.client.BufferedProduceRecords(), err))
	}
	return d.failed()
}

func (*direct) close() error { return nil }

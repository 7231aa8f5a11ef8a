package gap

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// Tell writes letters of a reader that stops because of them, and will commit nothing
// that they could go with. opts reach the brokers.
func Tell(ctx context.Context, opts []kgo.Opt, letters ...schemas.DeadLetter) error {
	client, err := kgo.NewClient(append(broker.ProducerOptions(), opts...)...)
	if err != nil {
		return fmt.Errorf("making the client that tells of a gap: %w", err)
	}
	defer client.Close()
	rec, err := wire.Encode("", letters)
	if err == nil {
		err = client.ProduceSync(ctx, rec).FirstErr()
	}
	if err != nil {
		return fmt.Errorf("telling of a gap: %w", err)
	}
	return nil
}

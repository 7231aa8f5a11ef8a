package meter

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/member"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// writeTicks writes one tick for each value of Config.Tick while this member
// owns partition 0, also while its loop is busy recovering: time must not stand
// still for the others. Two members that both think they own it do no harm; a
// tick too many is only a tick.
func (m *Meter) writeTicks(ctx context.Context, cl *kgo.Client, self *member.Member) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.cfg.Tick:
		}
		if !self.Assigned().Owns(0) {
			continue
		}
		rec, err := wire.Encode("", []schemas.Tick{{}})
		if err != nil {
			return fmt.Errorf("encoding a tick: %w", err)
		}
		// One at a time: while the broker is away, ticks are not saved up.
		err = cl.ProduceSync(ctx, rec).FirstErr()
		if err != nil && ctx.Err() == nil && broker.Classify(err) == broker.Stop {
			return fmt.Errorf("writing a tick: %w", err)
		}
	}
}

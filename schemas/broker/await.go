package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Pauses between two looks for the brokers.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

// PrepareWhenThere is Prepare for a process that may start while its brokers are
// away: it waits for them, as it would if they went away later, and says so. Prepare
// is for a person, who wants to know at once.
func PrepareWhenThere(ctx context.Context, client *kgo.Client, l Layout, u Use, log *slog.Logger) (partitions int32, err error) {
	if err := l.Validate(); err != nil {
		return 0, err
	}
	err = WhenThere(ctx, log, func(ctx context.Context) error {
		partitions, err = Prepare(ctx, client, l, u)
		return err
	})
	return partitions, err
}

// WhenThere does f, which asks the brokers, again and again while they are away. It
// is for what a process does at its start: they may go away between two steps of it.
func WhenThere(ctx context.Context, log *slog.Logger, f func(context.Context) error) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := f(ctx)
		if err == nil || ctx.Err() == nil && Classify(err) != Retry {
			return err
		}
		if ctx.Err() == nil {
			log.Warn("the brokers are away; trying again", "pause", pause, "error", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the brokers: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

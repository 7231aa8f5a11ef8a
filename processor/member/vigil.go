package member

import (
	"context"
	"log/slog"
	"time"
)

// A vigil waits for a transaction that is open on the brokers. They end those of
// the dead after transaction.timeout; one that outlives it hangs, as a broker that
// restarts may leave one behind (docs/reliability.md), and only a person can end
// it. So a vigil says what it waits for, again and again.
type vigil struct {
	log   *slog.Logger
	what  string // where the transaction is open
	began time.Time
	told  time.Time
}

const (
	// retryAfter is the pause before the brokers are asked again.
	retryAfter = 50 * time.Millisecond
	// tellEvery is the default of transaction.timeout.
	tellEvery = time.Minute
)

func watch(log *slog.Logger, what string) *vigil {
	now := time.Now()
	return &vigil{log, what, now, now}
}

// wait pauses before the brokers are asked again.
func (v *vigil) wait(ctx context.Context) error {
	v.tell(time.Now())
	select {
	case <-time.After(retryAfter):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (v *vigil) tell(now time.Time) {
	if now.Sub(v.told) < tellEvery {
		return
	}
	v.told = now
	v.log.Error("waiting for the end of a transaction; if it outlives transaction.timeout it hangs: find it by kafka-transactions.sh find-hanging, end it by kafka-transactions.sh abort",
		"open", v.what, "seconds", now.Sub(v.began).Seconds())
}

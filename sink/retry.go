package sink

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gpumeter/gpumeter/sink/insert"
)

// Pauses between attempts. Each is cut at random, to half at most: sinks that
// lost the same server do not come back in step.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
	// sayEvery bounds the lines of a long outage.
	sayEvery = time.Minute
)

// An outage is a stretch of failed attempts.
type outage struct {
	sink   *sink
	began  time.Time
	said   time.Time
	failed int
	pause  time.Duration
}

// retry does f until it succeeds, ctx ends, or its error does not pass. mend, if
// given, is called before the next attempt when somebody has to mend the
// account; without it that ends, too. While it waits nothing is polled: a server
// that is behind slows the fetches down, and memory holds two batches and what
// the client has fetched.
func (s *sink) retry(ctx context.Context, f func(context.Context) error, mend func() error) error {
	o := outage{sink: s, pause: firstPause}
	defer o.over()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		action := insert.Classify(err)
		if action == insert.Stop || action == insert.Mend && mend == nil {
			return err
		}
		if action == insert.Mend {
			err = fmt.Errorf("let the account of the setting clickhouse in and give it its rights (docs/deploy.md), or mend its password: %w", err)
		}
		o.fail(err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-time.After(o.next()):
		}
		if action == insert.Mend {
			if err := mend(); err != nil {
				o.fail(err) // a password file that is not there now; the last account is tried again
			}
		}
	}
}

// next is the pause before the next attempt.
func (o *outage) next() time.Duration {
	pause := o.pause
	o.pause = min(2*pause, lastPause)
	return pause/2 + rand.N(pause/2)
}

func (o *outage) fail(err error) {
	now := time.Now()
	if o.failed == 0 {
		o.began = now
	}
	o.failed++
	o.sink.counts.change(func(c *Stats) {
		c.Retries++
		c.Waiting, c.WaitingSince = err, o.began
	})
	if o.pause < lastPause || now.Sub(o.said) >= sayEvery {
		o.said = now
		o.sink.env.Log.Error("ClickHouse does not take the rows; trying again until it does", "attempts", o.failed, "since", o.began.UTC().Format(time.RFC3339), "error", err)
	}
}

// over ends what fail began.
func (o *outage) over() {
	if o.failed == 0 {
		return
	}
	o.sink.counts.change(func(c *Stats) { c.Waiting, c.WaitingSince = nil, time.Time{} })
	o.sink.env.Log.Info("no longer waiting for ClickHouse", "attempts", o.failed, "after", time.Since(o.began).Round(time.Millisecond))
}

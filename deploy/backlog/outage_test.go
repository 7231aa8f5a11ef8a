package backlog

import (
	"os"
	"testing"
	"time"
)

// liveRate is what the fleet says that a processor is to keep up with, samples a
// second.
const liveRate = 10_000

// outage is how long the processor is away.
func outage(t *testing.T) time.Duration {
	text, ok := os.LookupEnv("GPUMETER_TEST_OUTAGE")
	if !ok {
		return 5 * time.Minute
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Minute {
		t.Fatalf("GPUMETER_TEST_OUTAGE: %q, %v: it is a minute at least", text, err)
	}
	return d.Truncate(time.Minute)
}

// After an outage a processor catches up while the fleet goes on: at five times the
// rate at which samples come, at least.
func TestCatchesUpAfterAnOutage(t *testing.T) {
	away := outage(t)
	b, binary := newBench(t), binary(t)
	f := &fleet{t: t, nodes: liveRate / gpus}
	back := time.Now().Truncate(collect * time.Second).UnixMilli()
	gone := back - away.Milliseconds()
	f.begin = gone - gone%minute - 2*minute
	b.know(f)
	b.tell(f, f.begin, gone)
	state := "state.dir=" + t.TempDir()
	first := b.start(binary, state)
	b.await("the first minutes", func() bool { return b.lag() == 0 })
	first.stop()
	b.tell(f, gone, back)

	began, live := time.Now(), back
	c := b.start(binary, state)
	b.await("the processor to catch up", func() bool {
		if due := live + collect*second; time.Now().UnixMilli() >= due { // the fleet goes on at its rate
			b.tell(f, live, due)
			live = due
		}
		return b.lag() <= int64(f.nodes) // what came last
	})
	took := time.Since(began)
	samples := float64(live-gone) / second * liveRate
	rate := samples / took.Seconds()
	t.Logf("%.0f samples of %v in %v beside a fleet of %d a second: %.0f a second, %.1f times as fast", samples, away, took.Round(time.Millisecond), liveRate, rate, rate/liveRate)
	b.finish(live + minute)
	peak := c.peak()
	c.stop()
	// Others may load the machine: what is held to is the time that the processor
	// itself computes.
	perSecond := samples / c.computed().Seconds()
	t.Logf("%.0f samples for each second that the processor computed; %d MiB at most", perSecond, peak>>20)
	if perSecond < 5*liveRate {
		t.Errorf("%.0f samples for each second that the processor computed, want %d", perSecond, 5*liveRate)
	}
	b.check(f, live)
}

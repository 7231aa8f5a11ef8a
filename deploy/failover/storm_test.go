package failover

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/deploy/kafka/kafkatest"
)

const (
	// changeEvery is how often a member joins the groups or leaves them.
	changeEvery = 2 * time.Second
	// tellEvery is how often something is told meanwhile.
	tellEvery = 200 * time.Millisecond
)

func stormLasts() time.Duration {
	if kafkatest.Full() {
		return 3 * time.Minute
	}
	return 20 * time.Second
}

// Members join and leave all the time, while events come in and time goes on.
func TestRebalanceStorm(t *testing.T) {
	t.Parallel()
	b := newBench(t, kafka.Options{})
	s := newStory(t, 34, 24, int(stormLasts()/tellEvery)+2)
	dice := rand.New(rand.NewPCG(34, 1))
	running := []*worker{b.start("member-0", doom{})}
	chapter, changes := -1, 0
	began, pace := time.Now(), time.NewTicker(tellEvery)
	defer pace.Stop()
	for changed := began; time.Since(began) < stormLasts() && chapter < len(s.chapters)-2; <-pace.C {
		chapter++
		b.tell(s, chapter)
		if time.Since(changed) < changeEvery {
			continue
		}
		changed = changed.Add(changeEvery)
		changes++
		if n := len(running); n == 1 || n < 4 && dice.IntN(2) == 0 {
			running = append(running, b.start(fmt.Sprintf("member-%d", changes), doom{}))
		} else {
			gone := dice.IntN(n)
			_ = running[gone].input.Close() // it leaves in its own time
			running = append(running[:gone], running[gone+1:]...)
		}
	}
	chapter++
	b.settled(b.tell(s, chapter))
	await(t, "the detectors", b.detected)
	for _, w := range b.workers {
		w.stop() // those that left earlier must have ended well, too
	}
	f := b.check(s, chapter)
	recoveries, aborts := b.recoveries()
	t.Logf("%v: %d members joined or left, %d generations of the groups; %d chapters: %+v, %d recoveries, %d aborts",
		stormLasts(), changes, b.generations(), chapter+1, f, recoveries, aborts)
	if b.generations() < changes {
		t.Error("the groups did not rebalance at each change")
	}
}

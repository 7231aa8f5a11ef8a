package failover

import (
	"context"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/deploy/kafka"
	"github.com/gpumeter/gpumeter/deploy/kafka/kafkatest"
)

// Each of three brokers is killed and comes back while the processors work. They go
// on without it, and none of them ends.
func TestBrokersDieInTurn(t *testing.T) {
	t.Parallel()
	rounds := 1
	if kafkatest.Full() {
		rounds = 4
	}
	b := newBench(t, kafka.Options{Nodes: 3})
	s := newStory(t, 35, 24, 200*rounds)
	b.start("one", doom{})
	b.start("two", doom{})
	chapter, deaths := 0, 0
	b.settled(b.tell(s, chapter))
	for range rounds {
		for _, n := range b.cluster.Nodes() {
			if err := n.Kill(); err != nil {
				t.Fatal(err)
			}
			deaths++
			for range 3 { // the other two are enough
				chapter++
				b.settled(b.tell(s, chapter))
			}
			chapter = b.while(s, chapter, n.Restart)
			chapter = b.while(s, chapter, b.cluster.AwaitInSync)
		}
	}
	chapter++
	b.settled(b.tell(s, chapter))
	await(t, "the detectors", b.detected)
	for _, w := range b.workers {
		w.stop()
	}
	f := b.check(s, chapter)
	recoveries, aborts := b.recoveries()
	t.Logf("%d deaths of brokers; %d chapters: %+v, %d generations of the groups, %d recoveries, %d aborts", deaths, chapter+1, f, b.generations(), recoveries, aborts)
}

// while tells chapters until what goes on beside it is done, or none is left to tell.
func (b *bench) while(s *story, chapter int, does func(context.Context) error) int {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- does(ctx) }()
	pace := time.NewTicker(tellEvery)
	defer pace.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				b.t.Fatal(err)
			}
			return chapter
		case <-pace.C:
		}
		if chapter < len(s.chapters)-20 {
			chapter++
			b.tell(s, chapter)
		}
	}
}

package failover

import (
	"testing"

	"github.com/gpumeter/gpumeter/deploy/kafka"
)

// Brokers forget who has written no transaction for a week. A processor that had no
// work for so long goes on.
func TestForgottenProcessor(t *testing.T) {
	t.Parallel()
	b := newBench(t, kafka.Options{Settings: map[string]string{
		"transactional.id.expiration.ms": "3000", "transaction.remove.expired.transaction.cleanup.interval.ms": "500", "producer.id.expiration.ms": "3000",
	}})
	s := newStory(t, 36, 8, 4)
	w := b.start("one", doom{})
	for chapter := range s.chapters {
		b.settled(b.tell(s, chapter))
		await(t, "the detectors", b.detected)
		b.check(s, chapter)
		await(t, "the brokers to forget", func() bool {
			known, err := b.adm.ListTransactions(t.Context(), nil, nil)
			return err == nil && len(known) == 0
		})
	}
	w.stop()
}

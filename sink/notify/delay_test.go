package notify_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

// From the append of an alert's record to Slack having its message, one at a
// time: two commits to the broker and a request lie between.
func BenchmarkAlertToSlack(b *testing.B) {
	for _, by := range []string{"bot", "webhook"} {
		b.Run(by, func(b *testing.B) {
			w := newWorld(b, by)
			w.cfg.Storm.Alerts = 10_000
			p := w.start(nil)
			w.say(raised(0)) // wait for the group
			w.until("the first", func(m []slacktest.Message) bool { return len(m) == 1 })
			n, took := 1, []time.Duration{}
			for b.Loop() {
				began := time.Now()
				w.say(raised(n))
				n++
				w.until("the next", func(m []slacktest.Message) bool { return len(m) == n })
				took = append(took, w.slack.Messages()[n-1].Received.Sub(began))
			}
			p.end()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
		})
	}
}

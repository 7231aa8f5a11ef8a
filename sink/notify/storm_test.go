package notify_test

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

func TestNoticesAreNotTold(t *testing.T) {
	w := newWorld(t, "bot")
	p := w.start(nil)
	notice := raised(1)
	notice.Severity = schemas.SeverityNotice
	w.say(notice, ended(notice), raised(2))
	w.until("the alert", func(m []slacktest.Message) bool { return len(m) == 1 })
	w.committed()
	p.end()
	if m := w.slack.Messages(); len(m) != 1 || about(m, 2, burning) != 1 {
		t.Errorf("told:\n%s", show(m))
	}
}

// New figures replace the old ones in their message, not more often than set.
func TestFiguresAreReplacedInPlace(t *testing.T) {
	w := newWorld(t, "bot")
	w.cfg.UpdateEvery = 400 * time.Millisecond
	p := w.start(nil)
	f := raised(1)
	w.say(f)
	w.until("the alert", func(m []slacktest.Message) bool { return len(m) == 1 })
	began := time.Now()
	for n := int64(2); n <= 9; n++ {
		f = later(f, n*1_000_000_000)
		w.say(f)
	}
	w.until("the newest figures", func(m []slacktest.Message) bool { return strings.Contains(m[0].Text, "USD 9.00 burnt") })
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("replaced after %v", took)
	}
	w.say(ended(f))
	w.until("the end, at once", func(m []slacktest.Message) bool { return strings.Contains(m[0].Text, "*Cost USD 9.00*") })
	p.end()
	if m := w.slack.Messages(); len(m) != 1 || len(m[0].Edits) != 2 {
		t.Errorf("told:\n%s", show(m))
	}
}

// In a storm the first ones are told at once, the others together, the most
// expensive ones first; and so are their ends, below the digest.
func TestStormBecomesADigest(t *testing.T) {
	for _, by := range []string{"bot", "webhook"} {
		t.Run(by, func(t *testing.T) {
			w := newWorld(t, by)
			w.cfg.Storm.Within = 2 * time.Second
			w.cfg.Storm.Gather = 200 * time.Millisecond
			p := w.start(nil)
			var all []schemas.Finding
			for n := 1; n <= 105; n++ {
				all = append(all, raised(n))
			}
			w.sayAtOnce(all)
			w.until("five alone and a digest", func(m []slacktest.Message) bool { return len(m) == 6 })
			w.committed()
			digest := w.slack.Messages()[5]
			checkDigest(t, digest)
			p.end()

			p = w.start(nil) // another process knows where the digest is
			var ends []schemas.Finding
			for _, f := range all {
				ends = append(ends, ended(f))
			}
			w.sayAtOnce(ends)
			w.until("all ends", func(m []slacktest.Message) bool { return overs(m) == 105 })
			w.committed()
			p.end()
			for _, m := range w.slack.Messages()[6:] {
				if (m.Thread == digest.TS) != (by == "bot") {
					t.Errorf("an end is in thread %q, the digest is %s", m.Thread, digest.TS)
				}
			}
		})
	}
}

func checkDigest(t *testing.T, digest slacktest.Message) {
	t.Helper()
	if !strings.Contains(digest.Text, "100 alerts") || !strings.Contains(digest.Blocks, "and 80 more") {
		t.Errorf("the digest is %s\n%s", digest.Text, digest.Blocks)
	}
	last := -1
	for n := 100; n > 80; n-- { // the five most expensive ones were told alone
		at := strings.Index(digest.Blocks, fmt.Sprintf("`job-%d`", n))
		if at <= last {
			t.Errorf("job-%d is at %d, the one before it at %d", n, at, last)
		}
		last = at
	}
}

// overs counts the ends that are told, one by one or together.
func overs(messages []slacktest.Message) int {
	n := 0
	for _, m := range messages {
		if k := said([]slacktest.Message{m}, "in all: %d alerts over"); k > 0 {
			n += k
		} else if strings.Contains(m.Text, cost) {
			n++
		}
	}
	return n
}

// What was raised and is over before anybody could be told is one message.
func TestAlertThatIsOverAlreadyIsToldOnce(t *testing.T) {
	for _, by := range []string{"bot", "webhook"} {
		t.Run(by, func(t *testing.T) {
			w := newWorld(t, by)
			w.start(nil).endAfter(w.committed) // somebody has been there before
			f := raised(3)
			w.say(f, ended(f))
			p := w.start(nil)
			w.until("one message", func(m []slacktest.Message) bool { return len(m) == 1 })
			w.committed()
			p.end()
			m := w.slack.Messages()
			if len(m) != 1 || !strings.Contains(m[0].Text, "over before it could be announced") || !strings.Contains(m[0].Text, "USD 3.00") {
				t.Errorf("told:\n%s", show(m))
			}
		})
	}
}

// Slack is set up for a ledger that has been running: what is over is history,
// what burns is told, and a later start changes nothing about it, even when the
// first one could not deliver.
func TestFirstStartTellsWhatBurns(t *testing.T) {
	w := newWorld(t, "bot")
	var all []schemas.Finding
	for n := 1; n <= 9; n++ {
		f := raised(n)
		all = append(all, f)
		if n != 4 {
			all = append(all, ended(f))
		}
	}
	w.say(all...)
	var blocked atomic.Bool
	blocked.Store(true)
	w.slack.OnCall = func(slacktest.Call) slacktest.Fault {
		if blocked.Load() {
			return slacktest.Fault{Code: "invalid_auth"}
		}
		return slacktest.Fault{}
	}
	p := w.start(nil)
	w.called(3)
	p.end()
	blocked.Store(false)
	p = w.start(nil)
	w.until("what burns", func(m []slacktest.Message) bool { return len(m) == 1 })
	w.committed()
	p.end()
	if m := w.slack.Messages(); len(m) != 1 || about(m, 4, burning) != 1 {
		t.Errorf("told:\n%s", show(m))
	}
}

// Half a cluster stands still: one digest, whose members are known after a
// restart, and one message about their ends.
func TestStormOfThousands(t *testing.T) {
	w := newWorld(t, "bot")
	w.cfg.Storm.Alerts, w.cfg.Storm.Gather = 0, 250*time.Millisecond
	const alerts = 5000
	p := w.start(nil)
	var all, ends []schemas.Finding
	for n := 1; n <= alerts; n++ {
		all, ends = append(all, raised(n)), append(ends, ended(raised(n)))
	}
	for part := range slices.Chunk(all, 1000) {
		w.sayAtOnce(part)
	}
	w.until("all", func(m []slacktest.Message) bool { return said(m, "per hour: %d alerts") == alerts })
	w.committed()
	p.end()
	before := len(w.slack.Messages())
	p = w.start(nil)
	for part := range slices.Chunk(ends, 1000) {
		w.sayAtOnce(part)
	}
	w.until("all ends", func(m []slacktest.Message) bool { return overs(m) == alerts })
	w.committed()
	p.end()
	if after := len(w.slack.Messages()); before > 3 || after-before > 3*before {
		t.Errorf("%d messages, then %d more", before, after-before)
	}
}

// said adds up the numbers that stand in a text of the messages.
func said(messages []slacktest.Message, format string) int {
	before, _, _ := strings.Cut(format, "%d")
	n := 0
	for _, m := range messages {
		var k int
		if at := strings.Index(m.Text, before); at >= 0 {
			if _, err := fmt.Sscanf(strings.ReplaceAll(m.Text[at:], ",", ""), format, &k); err == nil {
				n += k
			}
		}
	}
	return n
}

// Restarts, and many of them, repeat nothing.
func TestRestartsRepeatNothing(t *testing.T) {
	for _, by := range []string{"bot", "webhook"} {
		t.Run(by, func(t *testing.T) {
			w := newWorld(t, by)
			var open []schemas.Finding
			for n := 1; n <= 4; n++ {
				p := w.start(nil)
				open = append(open, raised(n))
				w.say(open[n-1])
				if n > 1 {
					w.say(ended(open[n-2]))
				}
				w.until("both", func(m []slacktest.Message) bool {
					return about(m, n, burning) == 1 && (n == 1 || about(m, n-1, cost) == 1)
				})
				w.committed()
				p.end()
			}
			w.say(ended(open[3]))
			p := w.start(nil)
			w.until("the last end", func(m []slacktest.Message) bool { return about(m, 4, cost) == 1 })
			w.committed()
			p.end()
			want := map[string]int{"bot": 4, "webhook": 8}[by]
			if m := w.slack.Messages(); len(m) != want {
				t.Errorf("%d messages, want %d:\n%s", len(m), want, show(m))
			}
		})
	}
}

// Two notifiers share the partitions; one leaves, and the other goes on.
func TestTwoShareTheWork(t *testing.T) {
	w := newWorld(t, "bot")
	w.cfg.Storm.Alerts = 100
	one, two := w.start(nil), w.start(nil)
	for n := 1; n <= 20; n++ {
		w.say(raised(n))
	}
	w.until("all", func(m []slacktest.Message) bool { return len(m) == 20 })
	one.end()
	for n := 1; n <= 20; n++ {
		w.say(ended(raised(n)))
	}
	w.until("all ends", func(m []slacktest.Message) bool { return overs(m) == 20 })
	w.committed()
	two.end()
	if m := w.slack.Messages(); len(m) != 20 {
		t.Errorf("told:\n%s", show(m))
	}
}

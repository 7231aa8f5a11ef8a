package notify_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/sink/notify"
	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

var errDied = errors.New("died")

const (
	burning  = "per hour"
	cost     = "*Cost USD"
	repeated = "may be a repetition"
)

// dieAt dies at the k-th step that is reached, and says which one it was.
func dieAt(k int) (die func(string) error, at func() string) {
	var mu sync.Mutex
	n, step := 0, ""
	return func(s string) error {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == k {
				step = s
				return errDied
			}
			return nil
		}, func() string {
			mu.Lock()
			defer mu.Unlock()
			return step
		}
}

// A process dies at every step of telling an alert and its end, or of a digest and
// the ends of its members, one test each, and another takes over. With a bot token
// nobody sees it. A webhook cannot be asked what arrived: what was sent but not
// recorded comes twice, and says so.
func TestDeathAtEveryStep(t *testing.T) {
	for _, by := range []string{"bot", "webhook"} {
		for name, alerts := range map[string]int{"alone": 1, "digest": 12} {
			t.Run(by+"/"+name, func(t *testing.T) {
				died := map[string]int{}
				for k := 1; ; k++ {
					step := dieOnce(t, by, alerts, k)
					if step == "" {
						break // it was not reached: there are no more
					}
					died[step]++
				}
				for _, step := range notify.Steps() {
					want := 2
					if by == "bot" && alerts == 1 && step == "recorded" {
						want = 1 // replacing a message needs no posting
					}
					if died[step] != want {
						t.Errorf("died %d times at %s, want %d", died[step], step, want)
					}
				}
			})
		}
	}
}

func dieOnce(t *testing.T, by string, alerts, k int) (step string) {
	w := newWorld(t, by)
	if alerts > 1 {
		w.cfg.Storm.Alerts = 0
	}
	die, at := dieAt(k)
	p := w.start(die)
	var all, ends []schemas.Finding
	for n := 1; n <= alerts; n++ {
		all, ends = append(all, raised(n)), append(ends, ended(raised(n)))
	}
	w.sayAtOnce(all)
	w.until("the alert", func(m []slacktest.Message) bool { return about(m, alerts, burning) > 0 })
	w.committed()
	w.sayAtOnce(ends)
	w.until("its end", func(m []slacktest.Message) bool { return overs(m) >= alerts })
	w.committed()
	p.end()
	judge(t, by, alerts, at(), w.slack.Messages())
	return at()
}

// judge allows no repetition but the one that cannot be avoided, and wants it
// marked.
func judge(t *testing.T, by string, alerts int, step string, messages []slacktest.Message) {
	t.Helper()
	marked := 0
	for _, m := range messages {
		if strings.Contains(m.Text, repeated) {
			marked++
		}
	}
	want, wantMarked := 2, 0
	switch {
	case by == "bot" && alerts == 1:
		want = 1 // in place
	case by == "bot":
	case step == "sent":
		want, wantMarked = 3, 1
	case step == "recorded":
		wantMarked = 1 // nobody knows that it was not sent
	}
	if len(messages) != want || marked != wantMarked {
		t.Errorf("%s, died at %q: %d messages, %d marked; want %d, %d\n%s", by, step, len(messages), marked, want, wantMarked, show(messages))
	}
}

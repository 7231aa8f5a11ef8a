package notify_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

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

// A process dies at every step of telling an alert and its end, one test each,
// and another takes over. With a bot token nobody sees it. A webhook cannot be
// asked what arrived: what was sent but not recorded comes twice, and says so.
func TestDeathAtEveryStep(t *testing.T) {
	for _, by := range []string{"bot", "webhook"} {
		t.Run(by, func(t *testing.T) {
			died := map[string]int{}
			for k := 1; ; k++ {
				step := dieOnce(t, by, k)
				if step == "" {
					break // it was not reached: there are no more
				}
				died[step]++
			}
			for _, step := range notify.Steps() {
				// Replacing a message needs no posting, so a bot has that step once.
				if want := map[string]int{"bot/recorded": 1}[by+"/"+step]; died[step] != 2 && died[step] != want {
					t.Errorf("died %d times at %s", died[step], step)
				}
			}
		})
	}
}

func dieOnce(t *testing.T, by string, k int) (step string) {
	w := newWorld(t, by)
	die, at := dieAt(k)
	p := w.start(die)
	f := raised(7)
	w.say(f)
	w.until("the alert", func(m []slacktest.Message) bool { return about(m, 7, burning) > 0 })
	w.committed()
	w.say(ended(f))
	w.until("its end", func(m []slacktest.Message) bool { return about(m, 7, cost) > 0 })
	w.committed()
	p.end()
	judge(t, by, at(), w.slack.Messages())
	return at()
}

// judge allows no repetition but the one that cannot be avoided, and wants it
// marked.
func judge(t *testing.T, by, step string, messages []slacktest.Message) {
	t.Helper()
	marked := 0
	for _, m := range messages {
		if strings.Contains(m.Text, repeated) {
			marked++
		}
	}
	want, wantMarked := 2, 0
	switch {
	case by == "bot":
		want = 1
	case step == "sent":
		want, wantMarked = 3, 1
	case step == "recorded":
		wantMarked = 1 // nobody knows that it was not sent
	}
	if len(messages) != want || marked != wantMarked {
		t.Errorf("%s, died at %q: %d messages, %d marked; want %d, %d\n%s", by, step, len(messages), marked, want, wantMarked, show(messages))
	}
}

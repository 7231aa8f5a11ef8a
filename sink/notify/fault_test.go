package notify_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

// faults are the ways in which a call fails that pass by themselves.
func faults() map[string]slacktest.Fault {
	return map[string]slacktest.Fault{
		"429":              {RetryAfter: time.Second},
		"429 unsaid code":  {Code: "internal_error"},
		"500":              {Status: http.StatusInternalServerError},
		"503":              {Status: http.StatusServiceUnavailable},
		"500 but accepted": {Status: http.StatusInternalServerError, Accepted: true},
		"no answer":        {Hang: true},
		"accepted, silent": {Hang: true, Accepted: true},
		"cut":              {Reset: true},
		"accepted, cut":    {Reset: true, Accepted: true},
		"no such channel":  {Code: "channel_not_found"},
		"token revoked":    {Code: "invalid_auth"},
	}
}

// Whatever goes wrong, twice in a row, with the alert and then with its end: each
// is told once. Only a webhook that took a message and did not say so is told
// again, and the repetition says that it may be one.
func TestEveryFaultIsSurvived(t *testing.T) {
	for name, fault := range faults() {
		for _, by := range []string{"bot", "webhook"} {
			t.Run(by+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, by)
				p := w.start(nil)
				f := raised(7)
				w.slack.Fail(fault, fault)
				w.say(f)
				w.until("the alert", func(m []slacktest.Message) bool { return about(m, 7, burning) > 0 })
				w.committed()
				w.slack.Fail(fault, fault)
				w.say(ended(f))
				w.until("its end", func(m []slacktest.Message) bool { return about(m, 7, cost) > 0 })
				w.committed()
				p.end()
				once(t, by, fault, w.slack.Messages())
				if strings.Contains(w.logs.String(), "VerySecret") || !strings.Contains(w.logs.String(), "reason=") {
					t.Errorf("logged\n%s", w.logs.String())
				}
			})
		}
	}
}

func once(t *testing.T, by string, fault slacktest.Fault, messages []slacktest.Message) {
	t.Helper()
	unmarked := 0
	for _, m := range messages {
		if !strings.Contains(m.Text, repeated) {
			unmarked++
		}
	}
	switch {
	case by == "bot" && (len(messages) != 1 || unmarked != 1):
		t.Errorf("a bot's alert is not one message:\n%s", show(messages))
	case by == "webhook" && !fault.Accepted && len(messages) != 2:
		t.Errorf("not one message for the alert and one for its end:\n%s", show(messages))
	case by == "webhook" && fault.Accepted && unmarked != 2:
		t.Errorf("a repetition does not say so:\n%s", show(messages))
	}
}

// Replacements that are limited hold up no alert.
func TestAlertsPassEditsThatAreLimited(t *testing.T) {
	w := newWorld(t, "bot")
	w.slack.OnCall = func(c slacktest.Call) slacktest.Fault {
		if c.Method == "chat.update" {
			return slacktest.Fault{RetryAfter: time.Hour}
		}
		return slacktest.Fault{}
	}
	p := w.start(nil)
	w.say(raised(1))
	w.until("the alert", func(m []slacktest.Message) bool { return len(m) == 1 })
	w.say(ended(raised(1)))
	w.called(2)
	w.say(raised(2))
	w.until("another one", func(m []slacktest.Message) bool { return len(m) == 2 })
	p.end()
	if calls := len(w.slack.Calls()); calls != 3 {
		t.Errorf("%d calls, want two posts and one edit", calls)
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	w := newWorld(t, "bot")
	p := w.start(nil)
	w.slack.Fail(slacktest.Fault{RetryAfter: 2 * time.Second})
	began := time.Now()
	w.say(raised(1))
	w.until("the alert", func(m []slacktest.Message) bool { return len(m) == 1 })
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("tried again after %v", took)
	}
	p.end()
	if calls := len(w.slack.Calls()); calls != 2 {
		t.Errorf("%d calls, want one that is refused and one that is not", calls)
	}
}

// A message that Slack does not take as it is becomes plain; one that it does not
// take at all is given up, and others follow.
func TestMessageThatIsRefusedHoldsUpNobody(t *testing.T) {
	w := newWorld(t, "bot")
	w.slack.OnCall = func(c slacktest.Call) slacktest.Fault {
		switch {
		case c.Method == "chat.postMessage" && strings.Contains(c.Text, "`job-1`"):
			return slacktest.Fault{Code: "msg_too_long"}
		case c.Method == "chat.update" && strings.Contains(c.Text, "`job-2`"):
			return slacktest.Fault{Code: "cant_update_message"}
		}
		return slacktest.Fault{}
	}
	p := w.start(nil)
	w.slack.Fail(slacktest.Fault{Code: "invalid_blocks"})
	two := raised(2)
	w.say(two)
	w.until("the second", func(m []slacktest.Message) bool { return about(m, 2, burning) == 1 })
	if m := w.slack.Messages()[0]; m.Blocks != "" && m.Blocks != "[]" {
		t.Errorf("not plain: %s", m.Blocks)
	}
	w.say(raised(1), raised(3))
	w.until("the third", func(m []slacktest.Message) bool { return about(m, 3, burning) == 1 })
	w.say(ended(two))
	w.until("an end of its own", func(m []slacktest.Message) bool { return about(m, 2, cost) == 1 && len(m) == 3 })
	w.committed()
	p.end()
	if about(w.slack.Messages(), 1, "") != 0 || !strings.Contains(w.logs.String(), "message given up") {
		t.Errorf("the refused one:\n%s\n%s", show(w.slack.Messages()), w.logs.String())
	}
}

// A person deletes the message of an alert: its end is a message of its own.
func TestDeletedMessageIsNotMissed(t *testing.T) {
	w := newWorld(t, "bot")
	p := w.start(nil)
	f := raised(1)
	w.say(f)
	w.until("the alert", func(m []slacktest.Message) bool { return len(m) == 1 })
	w.committed()
	w.slack.Delete(w.slack.Messages()[0].TS)
	w.say(ended(f))
	w.until("its end", func(m []slacktest.Message) bool { return about(m, 1, cost) == 1 })
	p.end()
}

// Slack being away for long is told once in a while, not at every attempt, and
// what has piled up is one message.
func TestOutageIsQuietAndEndsInADigest(t *testing.T) {
	w := newWorld(t, "webhook")
	away := make(chan struct{})
	w.slack.OnCall = func(slacktest.Call) slacktest.Fault {
		select {
		case <-away:
			return slacktest.Fault{}
		default:
			return slacktest.Fault{Status: http.StatusServiceUnavailable}
		}
	}
	p := w.start(nil)
	var all []schemas.Finding
	for n := 1; n <= 40; n++ {
		all = append(all, raised(n))
	}
	w.say(all[0])
	w.called(10)
	w.say(all[1:]...)
	w.say(ended(all[39]))          // raised and over while nobody could be told
	time.Sleep(w.cfg.Storm.Within) // until the oldest one is a backlog
	close(away)
	w.until("a digest", func(m []slacktest.Message) bool { return len(m) == 2 && strings.Contains(m[1].Text, "39 alerts") })
	w.committed()
	p.end()
	digest := w.slack.Messages()[1]
	if !strings.Contains(digest.Text, "1 of them over already") || strings.Index(digest.Blocks, "job-40") > strings.Index(digest.Blocks, "job-39") {
		t.Errorf("the digest: %s\n%s", digest.Text, digest.Blocks)
	}
	if n := strings.Count(w.logs.String(), "not delivered"); n != 1 {
		t.Errorf("%d lines about the outage:\n%s", n, w.logs.String())
	}
}

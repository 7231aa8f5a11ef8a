package demo

import (
	"strings"
	"sync"
	"time"

	"github.com/gpumeter/gpumeter/deploy/run"
	"github.com/gpumeter/gpumeter/sink/notify"
	"github.com/gpumeter/gpumeter/sink/slack"
)

// tell says who is told of alerts: Slack where it is configured, else the view,
// as Slack would be.
func (d *demo) tell() run.Tell {
	t := run.Tell{Slack: d.cfg.Slack, Notify: notify.DefaultConfig()}
	if d.cfg.Slack.Enabled() {
		return t
	}
	d.said = &said{}
	t.Notifier = slack.NewPrinter(d.said, slack.Link{})
	// What is a storm is a matter of event time here: nobody's telephone rings.
	scale := func(t time.Duration) time.Duration {
		return max(time.Duration(float64(t)/d.cfg.Speed), 10*time.Millisecond)
	}
	t.Notify.Storm.Within, t.Notify.Storm.Gather = scale(t.Notify.Storm.Within), scale(t.Notify.Storm.Gather)
	t.Notify.UpdateEvery = scale(t.Notify.UpdateEvery)
	return t
}

// said keeps the lines of the messages as they would have been sent.
type said struct {
	mu    sync.Mutex
	lines []string
	count int
}

// Write takes one message.
func (s *said) Write(message []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	s.lines = append(s.lines, strings.Split(strings.TrimRight(string(message), "\n"), "\n")...)
	return len(message), nil
}

// all are the lines so far, oldest first, and how many messages they are. It is
// not nil: somebody would be told.
func (s *said) all() (lines []string, messages int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.lines...), s.count
}

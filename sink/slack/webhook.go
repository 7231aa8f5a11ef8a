package slack

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/gpumeter/gpumeter/sink/notify"
)

// A webhook posts, and that is all it can: it is not told where its messages
// are, so it can neither replace nor find them.
type webhook struct {
	url     string
	link    Link
	timeout time.Duration
	client  *http.Client
	answers *answers // what client goes through
}

func newWebhook(url string, to Link, timeout time.Duration) *webhook {
	w := &webhook{url: url, link: to, timeout: timeout, client: httpClient()}
	w.answers = &answers{RoundTripper: w.client.Transport}
	w.client.Transport = w.answers
	return w
}

// Post posts a message.
func (w *webhook) Post(ctx context.Context, m notify.Message) (notify.Ref, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	said, no := Render(m, w.link), false
	out := &slackgo.WebhookMessage{Text: said.Text, Parse: "none", UnfurlLinks: &no, UnfurlMedia: &no}
	if len(said.Blocks) > 0 {
		out.Blocks = &slackgo.Blocks{BlockSet: said.Blocks}
	}
	err := slackgo.PostWebhookCustomHTTPContext(ctx, w.url, w.client, out)
	var status slackgo.StatusCodeError
	if errors.As(err, &status) {
		return notify.Ref{}, because(judgeAnswer(status.Code, w.answers.said), err, w.url)
	}
	return notify.Ref{}, classify(err, w.url)
}

// answers keeps the last answer that was an error: slack-go drops it, and the
// same status stands for a channel that is gone and for a message that is wrong.
type answers struct {
	http.RoundTripper
	said string // of the last request; there is one at a time
}

// longestCode is more than any of Slack's codes.
const longestCode = 64

// RoundTrip asks, and remembers.
func (a *answers) RoundTrip(r *http.Request) (*http.Response, error) {
	a.said = ""
	answer, err := a.RoundTripper.RoundTrip(r)
	if err != nil || answer.StatusCode < 400 {
		return answer, err
	}
	start, err := io.ReadAll(io.LimitReader(answer.Body, longestCode))
	_ = answer.Body.Close()
	if err == nil {
		a.said = strings.TrimSpace(string(start))
	}
	answer.Body = http.NoBody
	return answer, nil
}

// CloseIdleConnections gives connections back.
func (a *answers) CloseIdleConnections() {
	if t, ok := a.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// Edit cannot be done.
func (w *webhook) Edit(context.Context, notify.Ref, notify.Message) error {
	return &notify.Failure{Kind: notify.Gone, Reason: "webhook"}
}

// Find cannot be done.
func (w *webhook) Find(context.Context, notify.Message, time.Time) (notify.Ref, bool, error) {
	return notify.Ref{}, false, notify.ErrCannotFind
}

// Check knows of nothing that can be asked.
func (w *webhook) Check(context.Context) (string, error) { return "an incoming webhook", nil }

// Close gives connections back.
func (w *webhook) Close() { w.client.CloseIdleConnections() }

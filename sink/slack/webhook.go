package slack

import (
	"context"
	"net/http"
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
	return notify.Ref{}, classify(slackgo.PostWebhookCustomHTTPContext(ctx, w.url, w.client, out), w.url)
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

package slack

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/gpumeter/gpumeter/sink/notify"
)

// classify says what a failed call means. The error that it keeps holds the text
// of the cause without the secret, and not the cause: its fields hold the URL.
func classify(err error, secret string) error {
	if err == nil {
		return nil
	}
	return because(judge(err), err, secret)
}

func because(f *notify.Failure, err error, secret string) error {
	f.Err = errors.New(withoutSecret(err, secret))
	return f
}

// withoutSecret is the text of an error without URLs and secrets.
func withoutSecret(err error, secret string) string {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err // a webhook's URL is its secret
	}
	text := err.Error()
	var api slackgo.SlackErrorResponse
	if errors.As(err, &api) && api.Needed != "" {
		text = fmt.Sprintf("%s (needs the scope %s)", text, api.Needed)
	}
	if secret == "" {
		return text
	}
	for _, s := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
		text = strings.ReplaceAll(text, s, "…")
	}
	return text
}

func judge(err error) *notify.Failure {
	var limited *slackgo.RateLimitedError
	var status slackgo.StatusCodeError
	var api slackgo.SlackErrorResponse
	switch {
	case errors.As(err, &limited):
		return &notify.Failure{Kind: notify.Passing, After: limited.RetryAfter, Reason: "rate_limited"}
	case errors.As(err, &status):
		return judgeStatus(status.Code)
	case errors.As(err, &api):
		return judgeCode(api.Err)
	}
	return judgeConnection(err)
}

// unsaidPause is how long to wait where a limit does not say it.
const unsaidPause = 30 * time.Second

func judgeStatus(code int) *notify.Failure {
	f := &notify.Failure{Kind: notify.Blocking, Reason: fmt.Sprintf("http_%d", code)}
	switch {
	case code == http.StatusTooManyRequests:
		f.Kind, f.After, f.Reason = notify.Passing, unsaidPause, "rate_limited"
	case code >= 500, code == http.StatusRequestTimeout:
		f.Kind, f.Unsure = notify.Passing, true
	}
	return f
}

// reasonShape keeps what is counted by reason to Slack's own words.
var reasonShape = regexp.MustCompile(`^[a-z_]{1,40}$`)

// judgeAnswer goes by what a webhook answered: its codes are words in the body.
func judgeAnswer(status int, body string) *notify.Failure {
	if status >= 400 && status < 500 && status != http.StatusTooManyRequests && reasonShape.MatchString(body) {
		return judgeCode(body)
	}
	return judgeStatus(status)
}

// judgeCode goes by Slack's error codes. What is not listed needs a person:
// invalid_auth, channel_not_found, not_in_channel, missing_scope and many more.
func judgeCode(code string) *notify.Failure {
	f := &notify.Failure{Kind: notify.Blocking, Reason: code}
	switch code {
	case "ratelimited", "rate_limited", "message_limit_exceeded":
		f.Kind, f.After, f.Reason = notify.Passing, unsaidPause, "rate_limited"
	case "internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org", "accesslimited":
		f.Kind, f.Unsure = notify.Passing, true
	case "invalid_payload", "invalid_blocks", "invalid_blocks_format", "msg_too_long", "msg_blocks_too_long", "no_text", "too_many_attachments",
		"invalid_metadata_format", "invalid_metadata_schema", "metadata_too_large", "invalid_arguments",
		"thread_not_found", "cannot_reply_to_message", "invalid_thread_ts":
		f.Kind = notify.Refused
	case "message_not_found", "cant_update_message", "edit_window_closed":
		f.Kind = notify.Gone
	}
	if !reasonShape.MatchString(code) {
		f.Reason = "unknown_code"
	}
	return f
}

// judgeConnection tells what failed before the request left, which is surely not
// delivered, from what failed after.
func judgeConnection(err error) *notify.Failure {
	f := &notify.Failure{Kind: notify.Passing, Unsure: true, Reason: "connection"}
	var op *net.OpError
	var untrusted *tls.CertificateVerificationError
	var timeout net.Error
	switch {
	case errors.As(err, &untrusted):
		f.Kind, f.Unsure, f.Reason = notify.Blocking, false, "certificate"
	case errors.As(err, &op) && op.Op == "dial":
		f.Unsure, f.Reason = false, "unreachable"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		f.Reason = "timeout"
	case errors.Is(err, context.Canceled):
		f.Reason = "stopped"
	}
	return f
}

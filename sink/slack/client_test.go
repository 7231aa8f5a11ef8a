package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/sink/notify"
	"github.com/gpumeter/gpumeter/sink/slack/slacktest"
)

func secretFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func botConfig(t *testing.T, api string) Config {
	c := DefaultConfig()
	c.TokenFile, c.Channel, c.API, c.Timeout = secretFile(t, slacktest.Token), slacktest.Channel, api, 200*time.Millisecond
	return c
}

func webhookConfig(t *testing.T, url string) Config {
	c := DefaultConfig()
	c.WebhookFile, c.Timeout = secretFile(t, url), 200*time.Millisecond
	return c
}

func client(t *testing.T, c Config) Client {
	t.Helper()
	out, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(out.Close)
	return out
}

func server(t *testing.T) *slacktest.Server {
	t.Helper()
	s := slacktest.New()
	t.Cleanup(s.Close)
	return s
}

func message(id string) notify.Message {
	return notify.Message{ID: id, What: schemas.NoticeAlert, Findings: []schemas.Finding{idle(100)}}
}

func TestBotPostsReplacesAndFinds(t *testing.T) {
	s := server(t)
	b := client(t, botConfig(t, s.API()))
	ctx := t.Context()
	ref, err := b.Post(ctx, message("a"))
	if err != nil {
		t.Fatal(err)
	}
	over := notify.Message{ID: "b", What: schemas.NoticeResolved, Findings: []schemas.Finding{ended(idle(100))}}
	if err := b.Edit(ctx, ref, over); err != nil {
		t.Fatal(err)
	}
	over.Under = ref
	below, err := b.Post(ctx, over)
	if err != nil {
		t.Fatal(err)
	}
	all := s.Messages()
	if len(all) != 2 || !strings.HasPrefix(all[0].Text, "*Cost USD 41.20*") || all[0].ID != "a" || all[1].Thread != ref.Message {
		t.Errorf("Slack has %+v", all)
	}
	for _, c := range []struct {
		m    notify.Message
		want notify.Ref
	}{{message("a"), ref}, {over, below}, {message("c"), notify.Ref{}}} {
		got, found, err := b.Find(ctx, c.m, time.Now())
		if err != nil || got != c.want || found == c.want.Zero() {
			t.Errorf("looking for %s: %v %v %v", c.m.ID, got, found, err)
		}
	}
	if _, found, err := b.Find(ctx, message("a"), time.Now().Add(time.Hour)); found || err != nil {
		t.Errorf("found what is older: %v", err)
	}
	if who, err := b.Check(ctx); err != nil || !strings.Contains(who, "gpumeter") {
		t.Errorf("we are %q, %v", who, err)
	}
}

func TestBotFindsOnLaterPages(t *testing.T) {
	s := server(t)
	s.PageSize(3)
	b := client(t, botConfig(t, s.API()))
	for i := range 10 {
		if _, err := b.Post(t.Context(), message(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	ref, found, err := b.Find(t.Context(), message("1"), time.Now())
	if err != nil || !found || ref.Message != s.Messages()[1].TS {
		t.Errorf("%v %v %v", ref, found, err)
	}
}

func TestBotThatMayNotReadCannotFind(t *testing.T) {
	s := server(t)
	b := client(t, botConfig(t, s.API()))
	s.Fail(slacktest.Fault{Code: "missing_scope"})
	if _, _, err := b.Find(t.Context(), message("1"), time.Now()); !errors.Is(err, notify.ErrCannotFind) {
		t.Errorf("%v", err)
	}
}

func TestWebhookPosts(t *testing.T) {
	s := server(t)
	w := client(t, webhookConfig(t, s.Webhook()))
	ref, err := w.Post(t.Context(), message("a"))
	if err != nil || !ref.Zero() {
		t.Fatal(ref, err)
	}
	if all := s.Messages(); len(all) != 1 || !strings.Contains(all[0].Blocks, "USD 41.20 burnt") {
		t.Errorf("Slack has %+v", all)
	}
	if _, _, err := w.Find(t.Context(), message("a"), time.Now()); !errors.Is(err, notify.ErrCannotFind) {
		t.Errorf("%v", err)
	}
}

// Slack takes what we render, whatever it is.
func TestSlackTakesEveryMessage(t *testing.T) {
	s := server(t)
	b, w := client(t, botConfig(t, s.API())), client(t, webhookConfig(t, s.Webhook()))
	for name, m := range messages() {
		for _, c := range []Client{b, w} {
			if _, err := c.Post(t.Context(), m); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestFailuresSayWhatTheyMean(t *testing.T) {
	type want struct {
		kind   notify.Kind
		unsure bool
		after  time.Duration
		reason string
	}
	for _, c := range []struct {
		fault        slacktest.Fault
		bot, webhook want
	}{
		{
			slacktest.Fault{RetryAfter: 7 * time.Second},
			want{notify.Passing, false, 7 * time.Second, "rate_limited"},
			want{notify.Passing, false, 7 * time.Second, "rate_limited"},
		},
		{slacktest.Fault{Status: 429}, want{notify.Passing, false, unsaidPause, "rate_limited"}, want{notify.Passing, false, unsaidPause, "rate_limited"}},
		{slacktest.Fault{Status: 502}, want{notify.Passing, true, 0, "http_502"}, want{notify.Passing, true, 0, "http_502"}},
		{slacktest.Fault{Status: 307}, want{notify.Blocking, false, 0, "http_307"}, want{notify.Blocking, false, 0, "http_307"}},
		{slacktest.Fault{Code: "invalid_blocks"}, want{notify.Refused, false, 0, "invalid_blocks"}, want{notify.Refused, false, 0, "invalid_blocks"}},
		{slacktest.Fault{Code: "channel_not_found"}, want{notify.Blocking, false, 0, "channel_not_found"}, want{notify.Blocking, false, 0, "channel_not_found"}},
		{slacktest.Fault{Status: 400}, want{notify.Blocking, false, 0, "http_400"}, want{notify.Blocking, false, 0, "fault"}},
		{slacktest.Fault{Code: "internal_error"}, want{notify.Passing, true, 0, "internal_error"}, want{notify.Passing, true, 0, "http_500"}},
		{slacktest.Fault{Hang: true}, want{notify.Passing, true, 0, "timeout"}, want{notify.Passing, true, 0, "timeout"}},
		{slacktest.Fault{Reset: true}, want{notify.Passing, true, 0, "connection"}, want{notify.Passing, true, 0, "connection"}},
	} {
		s := server(t)
		for name, of := range map[string]struct {
			Client
			want
		}{"bot": {client(t, botConfig(t, s.API())), c.bot}, "webhook": {client(t, webhookConfig(t, s.Webhook())), c.webhook}} {
			s.Fail(c.fault)
			_, err := of.Post(t.Context(), message("a"))
			var f *notify.Failure
			if !errors.As(err, &f) {
				t.Fatalf("%s, %+v: %v is no Failure", name, c.fault, err)
			}
			if got := (want{f.Kind, f.Unsure, f.After, f.Reason}); got != of.want {
				t.Errorf("%s, %+v: %+v, want %+v", name, c.fault, got, of.want)
			}
		}
	}
}

// No error holds the secret, however it is printed, whatever fails.
func TestErrorsHoldNoSecret(t *testing.T) {
	s := server(t)
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		fmt.Fprintf(w, `{"ok": false, "error": %q}`, "you said "+r.PostForm.Get("token"))
	}))
	t.Cleanup(echo.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	failed := 0
	for _, c := range []Config{
		botConfig(t, s.API()), webhookConfig(t, s.Webhook()), botConfig(t, echo.URL),
		botConfig(t, gone.URL), webhookConfig(t, gone.URL+slacktest.WebhookPath),
		botConfig(t, untrusted.URL), webhookConfig(t, untrusted.URL+slacktest.WebhookPath),
	} {
		to := client(t, c)
		for _, fault := range []slacktest.Fault{{Status: 500}, {Status: 308}, {Hang: true}, {Reset: true}, {Code: "invalid_auth"}} {
			s.Fail(fault)
			_, err := to.Post(t.Context(), message("a"))
			if err != nil {
				noSecret(t, err)
				failed++
			}
		}
	}
	if failed < 30 {
		t.Errorf("only %d of 35 posts failed", failed)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []Config{botConfig(t, s.API()), webhookConfig(t, s.Webhook())} {
		_, err := client(t, c).Post(cancelled, message("a"))
		noSecret(t, err)
	}
}

func noSecret(t *testing.T, err error) {
	t.Helper()
	var f *notify.Failure
	errors.As(err, &f)
	for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err), fmt.Sprintf("%+v %#v", f.Err, f.Err)} {
		if strings.Contains(text, "VerySecret") {
			t.Errorf("an error holds the secret: %s", text)
		}
	}
}

func TestConfigIsRefusedWithItsReason(t *testing.T) {
	bot := func(change func(*Config)) Config {
		c := DefaultConfig()
		c.TokenFile, c.Channel = "/run/secrets/slack", slacktest.Channel
		change(&c)
		return c
	}
	for want, c := range map[string]Config{
		"holds the secret itself":           bot(func(c *Config) { c.TokenFile = slacktest.Token }),
		"webhook_file: holds the secret":    {WebhookFile: "https://hooks.slack.com" + slacktest.WebhookPath, Timeout: time.Second, API: DefaultConfig().API},
		"give one of":                       bot(func(c *Config) { c.WebhookEnv = "X" }),
		"is no id like":                     bot(func(c *Config) { c.Channel = "#gpus" }),
		"given without a bot token":         bot(func(c *Config) { c.TokenFile = "" }),
		"slack.link":                        bot(func(c *Config) { c.Link = "x" }),
		"slack.timeout: 1m0s":               bot(func(c *Config) { c.Timeout = time.Minute }),
		"sent in clear":                     bot(func(c *Config) { c.API = "http://slack.com/api/" }),
		"slack.api: \"slack\" is no http":   bot(func(c *Config) { c.API = "slack" }),
		"slack.timeout: 0s is not from 10m": bot(func(c *Config) { c.Timeout = 0 }),
	} {
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		} else if strings.Contains(err.Error(), "VerySecret") {
			t.Errorf("the reason holds the secret: %v", err)
		}
	}
	if c := DefaultConfig(); c.Validate() != nil || c.Enabled() {
		t.Errorf("the default: %v, %v", c.Validate(), c.Enabled())
	}
	if c := bot(func(*Config) {}); c.Validate() != nil || !c.Enabled() {
		t.Errorf("a bot: %v, %v", c.Validate(), c.Enabled())
	}
}

func TestSecretsAreReadWhereTheyAre(t *testing.T) {
	t.Setenv("MY_TOKEN", slacktest.Token+"\n")
	s := server(t)
	c := botConfig(t, s.API())
	c.TokenFile, c.TokenEnv = "", "MY_TOKEN"
	if _, err := client(t, c).Check(t.Context()); err != nil {
		t.Error(err)
	}
	for want, spoil := range map[string]func(*Config){
		"NO_SUCH is not set":        func(c *Config) { c.TokenEnv = "NO_SUCH" },
		"no such file":              func(c *Config) { c.TokenEnv, c.TokenFile = "", "/no/such/file" },
		"is empty":                  func(c *Config) { c.TokenEnv, c.TokenFile = "", secretFile(t, "") },
		"holds spaces":              func(c *Config) { c.TokenEnv, c.TokenFile = "", secretFile(t, "aVerySecret token") },
		"what is given is no http":  func(c *Config) { *c = webhookConfig(t, "aVerySecret") },
		"what is given is not http": func(c *Config) { *c = webhookConfig(t, "http://hooks.slack.com/aVerySecret") },
	} {
		bad := c
		spoil(&bad)
		_, err := New(bad)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "VerySecret") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestPrinterShowsMessagesAsTheyWouldBeSent(t *testing.T) {
	var out strings.Builder
	p := NewPrinter(&out, Link{})
	if _, err := p.Post(t.Context(), message("a")); err != nil || out.String() != Text(message("a"), Link{}) {
		t.Errorf("%v: %s", err, out.String())
	}
	broken, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_, _ = broken.Close(), w.Close()
	var f *notify.Failure
	if _, err := NewPrinter(w, Link{}).Post(t.Context(), message("a")); !errors.As(err, &f) {
		t.Errorf("into a closed file: %v", err)
	}
}

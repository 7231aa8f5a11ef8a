package slack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/gpumeter/gpumeter/sink/notify"
)

// A Client is a Notifier that holds connections until Close.
type Client interface {
	notify.Notifier
	// Check asks who we are; an error says what a person must mend.
	Check(context.Context) (string, error)
	Close()
}

// New makes a Client of a valid Config that is enabled. It reads the secret and
// calls nobody.
func New(c Config) (Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	to, err := ParseLink(c.Link)
	if err != nil {
		return nil, err
	}
	if c.TokenFile != "" || c.TokenEnv != "" {
		return newBot(c, to)
	}
	url, err := given(c.WebhookFile, c.WebhookEnv)
	if err != nil {
		return nil, fmt.Errorf("slack: webhook: %w", err)
	}
	if err := safeAddress(url); err != nil {
		return nil, fmt.Errorf("slack: webhook: what is given %w", err)
	}
	return newWebhook(url, to, c.Timeout), nil
}

func newBot(c Config, to Link) (Client, error) {
	token, err := given(c.TokenFile, c.TokenEnv)
	if err != nil {
		return nil, fmt.Errorf("slack: token: %w", err)
	}
	if strings.ContainsAny(token, " \t\r\n") {
		return nil, errors.New("slack: token: what is given holds spaces, so it is no token")
	}
	client := httpClient()
	api := slackgo.New(token, slackgo.OptionAPIURL(strings.TrimRight(c.API, "/")+"/"), slackgo.OptionHTTPClient(client))
	return &bot{api: api, token: token, channel: c.Channel, link: to, timeout: c.Timeout, client: client}, nil
}

// httpClient follows no redirect, since the secret would go along, and reads no
// answer without end.
func httpClient() *http.Client {
	return &http.Client{
		Transport: bounded{&http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout:    5 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           2,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/gpumeter/gpumeter/schemas/secret"
)

// OAuth says where a token for OAUTHBEARER is asked for, by the flow of client
// credentials (RFC 6749, 4.4).
type OAuth struct {
	TokenURL         string `koanf:"token_url" doc:"https address of the token endpoint"`
	ClientID         string `koanf:"client_id" doc:"who asks for a token"`
	ClientSecretFile string `koanf:"client_secret_file" doc:"file that holds the secret of client_id"`
	Scope            string `koanf:"scope" doc:"scopes to ask for, with spaces between; empty = what the endpoint gives"`
	CA               string `koanf:"ca" doc:"PEM file of the authorities to trust with the token endpoint; empty = the system's"`
}

func (o OAuth) validate() error {
	if o.TokenURL == "" || o.ClientID == "" || o.ClientSecretFile == "" {
		return errors.New("sasl: oauth needs token_url, client_id and client_secret_file")
	}
	u, err := url.Parse(o.TokenURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil:
		return errors.New("sasl: oauth.token_url is no https address without a user")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("sasl: oauth.token_url is not https: the client's secret would be sent in clear")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Bounds of a token's life.
const (
	// renewBefore is how long before its end a token is not used any more: the
	// brokers must still accept it after the longest authentication.
	renewBefore = time.Minute
	// tokenTimeout is how long the endpoint may take.
	tokenTimeout = 10 * time.Second
)

// bearer authenticates with a token. Connections outlive tokens: a broker that
// bounds sessions (connections.max.reauth.ms) is authenticated to again in time,
// by the client.
func (s SASL) bearer() (sasl.Mechanism, error) {
	if s.TokenFile != "" {
		if _, err := secret.File(s.TokenFile); err != nil { // say it now, not at the first connection
			return nil, fmt.Errorf("sasl: token_file: %w", err)
		}
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, err := secret.File(s.TokenFile)
			if err != nil {
				return oauth.Auth{}, fmt.Errorf("sasl: token_file: %w", err)
			}
			return oauth.Auth{Token: token}, nil
		}), nil
	}
	tokens, err := s.OAuth.tokens()
	if err != nil {
		return nil, err
	}
	return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
		token, err := tokens.Token()
		if err != nil {
			return oauth.Auth{}, fmt.Errorf("sasl: oauth.token_url %s: %w", s.OAuth.TokenURL, refused(err))
		}
		return oauth.Auth{Token: token.AccessToken}, nil
	}), nil
}

// tokens asks for a token when there is none or its end is near.
func (o OAuth) tokens() (oauth2.TokenSource, error) {
	password, err := secret.File(o.ClientSecretFile)
	if err != nil {
		return nil, fmt.Errorf("sasl: oauth.client_secret_file: %w", err)
	}
	trust, err := TLS{CA: o.CA}.config()
	if err != nil {
		return nil, fmt.Errorf("sasl: oauth: %w", err)
	}
	client := &http.Client{
		Timeout: tokenTimeout,
		// A token is asked for once in minutes: no connection waits for the next.
		Transport: &http.Transport{TLSClientConfig: trust, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
		// The secret goes where a person said, not where an answer says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	flow := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: password, TokenURL: o.TokenURL}
	if o.Scope != "" {
		flow.Scopes = []string{o.Scope} // they are joined by spaces
	}
	asks := flow.TokenSource(context.WithValue(context.Background(), oauth2.HTTPClient, client))
	return oauth2.ReuseTokenSourceWithExpiry(nil, asks, renewBefore), nil
}

// refused leaves the body of an answer out of an error: it is as long as the
// endpoint likes, and may repeat what was sent.
func refused(err error) error {
	var answer *oauth2.RetrieveError
	if !errors.As(err, &answer) {
		return err
	}
	status := "no status"
	if answer.Response != nil {
		status = answer.Response.Status
	}
	return fmt.Errorf("answered %.60s, %.60q: is the client known there, and its secret right?", status, answer.ErrorCode)
}

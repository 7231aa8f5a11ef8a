package slack

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/gpumeter/gpumeter/schemas/secret"
)

// Config says where messages go. Nothing given: nowhere. A secret is named, by
// its file or its variable of the environment, and never given.
type Config struct {
	WebhookFile string        `koanf:"webhook_file" doc:"file that holds the URL of an incoming webhook"`
	WebhookEnv  string        `koanf:"webhook_env" doc:"name of the environment variable that holds the URL of an incoming webhook"`
	TokenFile   string        `koanf:"token_file" doc:"file that holds a bot token"`
	TokenEnv    string        `koanf:"token_env" doc:"name of the environment variable that holds a bot token"`
	Channel     string        `koanf:"channel" doc:"id of the channel, like C0123456789, for a bot token; a webhook has its own"`
	Link        string        `koanf:"link" doc:"address of a page about a finding, with {finding}, {allocation}, {node}, {user}, {team}, {from} and {to}"`
	Timeout     time.Duration `koanf:"timeout" doc:"how long an answer is waited for"`
	API         string        `koanf:"api" doc:"address of Slack's API"`
}

// DefaultConfig tells nobody.
func DefaultConfig() Config { return Config{Timeout: 5 * time.Second, API: slackgo.APIURL} }

// Enabled reports whether there is a channel to tell.
func (c Config) Enabled() bool { return c.secrets() > 0 }

func (c Config) secrets() int {
	n := 0
	for _, s := range []string{c.WebhookFile, c.WebhookEnv, c.TokenFile, c.TokenEnv} {
		if s != "" {
			n++
		}
	}
	return n
}

// Validate gives everything that is wrong, with the reasons. It reads no secret.
func (c Config) Validate() error {
	var errs []error
	for key, value := range map[string]string{
		"webhook_file": c.WebhookFile, "webhook_env": c.WebhookEnv, "token_file": c.TokenFile, "token_env": c.TokenEnv,
	} {
		if looksSecret(value) {
			errs = append(errs, fmt.Errorf("slack.%s: holds the secret itself: write it to a file and give the file's path, settings are logged and listed (and get a new secret, this one may have been seen)", key))
		}
	}
	if c.secrets() > 1 {
		errs = append(errs, errors.New("slack: give one of webhook_file, webhook_env, token_file and token_env: a message goes one way"))
	}
	bot := c.TokenFile != "" || c.TokenEnv != ""
	if bot && !channelID.MatchString(c.Channel) {
		errs = append(errs, fmt.Errorf("slack.channel: %q is no id like C0123456789 (at the end of the channel's details): names change, and messages are looked up by id", c.Channel))
	}
	if !bot && c.Channel != "" {
		errs = append(errs, errors.New("slack.channel: given without a bot token: a webhook posts to the channel that it was made for"))
	}
	if _, err := ParseLink(c.Link); err != nil {
		errs = append(errs, err)
	}
	if c.Timeout < 10*time.Millisecond || c.Timeout > 5*time.Second {
		errs = append(errs, fmt.Errorf("slack.timeout: %v is not from 10ms to 5s: a stop waits for it", c.Timeout))
	}
	if err := safeAddress(c.API); err != nil {
		errs = append(errs, fmt.Errorf("slack.api: %q %w", c.API, err))
	}
	return errors.Join(errs...)
}

var (
	channelID   = regexp.MustCompile(`^[CGD][A-Z0-9]{5,20}$`)
	secretShape = regexp.MustCompile(`(?i)^(https?:|xox[a-z]-|xapp-)|hooks\.slack`)
)

func looksSecret(value string) bool { return secretShape.MatchString(strings.TrimSpace(value)) }

// safeAddress refuses addresses to which a secret would go in clear.
func safeAddress(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("is no http or https address")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return errors.New("is not https: the secret would be sent in clear")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// given reads a secret from its file or variable. Its errors never hold it.
func given(file, env string) (string, error) {
	read, from := secret.File, file
	if env != "" {
		read, from = secret.Env, env
	}
	value, err := read(from)
	return strings.TrimSpace(value), err
}

package broker

import (
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Config says where the brokers are and how to be let in.
type Config struct {
	Brokers []string `koanf:"brokers" doc:"host:port of some brokers; the rest is learnt from them"`
	TLS     TLS      `koanf:"tls"`
	SASL    SASL     `koanf:"sasl"`

	// More is what a program adds that brings its own network or pace, as a
	// simulation does. It wins over ours and is no setting of a person's.
	More []kgo.Opt `koanf:"-"`
}

// Validate gives the first thing that is wrong, and its reason. It opens no file.
func (c Config) Validate() error {
	if len(c.Brokers) == 0 {
		return errors.New("brokers: none given: name at least one as host:port")
	}
	for _, b := range c.Brokers {
		if strings.TrimSpace(b) == "" {
			return errors.New("brokers: an address is empty: write host:port,host:port")
		}
	}
	if err := c.TLS.validate(); err != nil {
		return err
	}
	return c.SASL.validate(c.TLS.on())
}

// security reads the files that c names.
func (c Config) security() ([]kgo.Opt, error) {
	var opts []kgo.Opt
	if c.TLS.on() {
		conf, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(conf))
	}
	if c.SASL.Mechanism == "" {
		return opts, nil
	}
	mechanism, err := c.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	return append(opts, kgo.SASL(mechanism)), nil
}

// Principal is who the brokers take this client for, as far as its settings say:
// the name that ACLs are given to.
func (c Config) Principal() string {
	switch c.SASL.Mechanism {
	case "":
	case Plain, ScramSHA256, ScramSHA512:
		return "User:" + c.SASL.User
	case OAuthBearer:
		if c.SASL.OAuth.ClientID != "" {
			return "the subject of the token of client " + c.SASL.OAuth.ClientID
		}
		return "the subject of the token in " + c.SASL.TokenFile
	default:
		return "the IAM identity of the AWS credentials"
	}
	if subject := c.TLS.subject(); subject != "" {
		return "User:" + subject
	}
	return "User:ANONYMOUS"
}

package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Config says where the brokers are and how to be let in.
type Config struct {
	Brokers []string `koanf:"brokers" doc:"host:port of some brokers; the rest is learnt from them"`
	TLS     TLS      `koanf:"tls"`
	SASL    SASL     `koanf:"sasl"`
}

// TLS encrypts the connection. The zero value does not.
type TLS struct {
	Enabled    bool   `koanf:"enabled" doc:"encrypt the connection; also on when any of the files is given"`
	CA         string `koanf:"ca" doc:"PEM file of the authorities to trust; empty = the system's"`
	Cert       string `koanf:"cert" doc:"PEM file of the client's certificate, for mutual TLS"`
	Key        string `koanf:"key" doc:"PEM file of its key"`
	ServerName string `koanf:"server_name" doc:"name in the brokers' certificates; empty = the host dialled"`
}

// Mechanisms of SASL.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
)

// SASL says who we are. The zero value says nothing.
type SASL struct {
	Mechanism    string `koanf:"mechanism" doc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"`
	User         string `koanf:"user" doc:"name to authenticate as"`
	PasswordFile string `koanf:"password_file" doc:"file that holds the password: never in a config, an argument or the environment"`
}

func (t TLS) on() bool { return t.Enabled || t.CA != "" || t.Cert != "" || t.Key != "" }

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
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return errors.New("tls: cert and key go together: a client proves with the key that the certificate is its own")
	}
	switch c.SASL.Mechanism {
	case "":
		if c.SASL.User != "" || c.SASL.PasswordFile != "" {
			return errors.New("sasl: user or password_file without mechanism: name PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
		}
		return nil
	case Plain:
		if !c.TLS.on() {
			return errors.New("sasl: PLAIN without tls sends the password in clear: turn tls on or use SCRAM")
		}
	case ScramSHA256, ScramSHA512:
	default:
		return fmt.Errorf("sasl: mechanism %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", c.SASL.Mechanism)
	}
	if c.SASL.User == "" || c.SASL.PasswordFile == "" {
		return fmt.Errorf("sasl: %s needs user and password_file", c.SASL.Mechanism)
	}
	return nil
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
	password, err := os.ReadFile(c.SASL.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("sasl: password_file: %w", err)
	}
	pass := strings.TrimRight(string(password), "\r\n") // editors end a file with a line feed
	switch c.SASL.Mechanism {
	case ScramSHA256:
		opts = append(opts, kgo.SASL(scram.Auth{User: c.SASL.User, Pass: pass}.AsSha256Mechanism()))
	case ScramSHA512:
		opts = append(opts, kgo.SASL(scram.Auth{User: c.SASL.User, Pass: pass}.AsSha512Mechanism()))
	default:
		opts = append(opts, kgo.SASL(plain.Auth{User: c.SASL.User, Pass: pass}.AsMechanism()))
	}
	return opts, nil
}

func (t TLS) config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, fmt.Errorf("tls: cert and key: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

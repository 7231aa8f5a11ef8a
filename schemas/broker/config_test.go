package broker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas/broker"
)

func TestConfigValidate(t *testing.T) {
	b := []string{"a:9092"}
	secured := broker.TLS{Enabled: true}
	flow := broker.OAuth{TokenURL: "https://t/token", ClientID: "c", ClientSecretFile: "f"}
	for _, c := range []struct {
		name string
		cfg  broker.Config
		want string // part of the error, empty for none
	}{
		{"plain", broker.Config{Brokers: b}, ""},
		{"no brokers", broker.Config{}, "brokers: none"},
		{"empty broker", broker.Config{Brokers: []string{"a:9092", " "}}, "brokers: an address is empty"},
		{"mutual TLS", broker.Config{Brokers: b, TLS: broker.TLS{Cert: "c", Key: "k"}}, ""},
		{"cert without key", broker.Config{Brokers: b, TLS: broker.TLS{Cert: "c"}}, "cert and key go together"},
		{"SCRAM", broker.Config{Brokers: b, SASL: broker.SASL{Mechanism: "SCRAM-SHA-256", User: "u", PasswordFile: "f"}}, ""},
		{"PLAIN with TLS", broker.Config{Brokers: b, TLS: broker.TLS{Enabled: true}, SASL: broker.SASL{Mechanism: "PLAIN", User: "u", PasswordFile: "f"}}, ""},
		{"PLAIN in clear", broker.Config{Brokers: b, SASL: broker.SASL{Mechanism: "PLAIN", User: "u", PasswordFile: "f"}}, "in clear"},
		{"other mechanism", broker.Config{Brokers: b, SASL: broker.SASL{Mechanism: "GSSAPI"}}, `"GSSAPI" is not`},
		{"user without mechanism", broker.Config{Brokers: b, SASL: broker.SASL{User: "u"}}, "without mechanism"},
		{"password beside IAM", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "AWS_MSK_IAM", User: "u"}}, "credentials are AWS's own"},
		{"IAM", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "AWS_MSK_IAM"}}, ""},
		{"IAM in clear", broker.Config{Brokers: b, SASL: broker.SASL{Mechanism: "AWS_MSK_IAM"}}, "in clear"},
		{"token in clear", broker.Config{Brokers: b, SASL: broker.SASL{Mechanism: "OAUTHBEARER", TokenFile: "f"}}, "in clear"},
		{"token", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "OAUTHBEARER", TokenFile: "f"}}, ""},
		{"no token", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "OAUTHBEARER"}}, "needs either"},
		{"two ways to a token", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "OAUTHBEARER", TokenFile: "f", OAuth: flow}}, "needs either"},
		{"client credentials", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "OAUTHBEARER", OAuth: flow}}, ""},
		{"client without secret", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "OAUTHBEARER", OAuth: broker.OAuth{TokenURL: "https://t", ClientID: "c"}}}, "needs token_url"},
		{"secret in clear", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "OAUTHBEARER", OAuth: broker.OAuth{TokenURL: "http://t", ClientID: "c", ClientSecretFile: "f"}}}, "in clear"},
		{"secret in the address", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "OAUTHBEARER", OAuth: broker.OAuth{TokenURL: "https://u:p@t", ClientID: "c", ClientSecretFile: "f"}}}, "without a user"},
		{"user with a token", broker.Config{Brokers: b, TLS: secured, SASL: broker.SASL{Mechanism: "OAUTHBEARER", User: "u", TokenFile: "f"}}, "the token says who"},
		{"token with a password", broker.Config{Brokers: b, SASL: broker.SASL{Mechanism: "SCRAM-SHA-256", User: "u", PasswordFile: "f", TokenFile: "f"}}, "takes no token_file"},
		{"no password", broker.Config{Brokers: b, SASL: broker.SASL{Mechanism: "SCRAM-SHA-512", User: "u"}}, "needs user and password_file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.cfg.Validate()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
		})
	}
}

func TestOptionsNameTheFile(t *testing.T) {
	b := []string{"a:9092"}
	for _, cfg := range []broker.Config{
		{Brokers: b, TLS: broker.TLS{CA: "/no/such/file"}},
		{Brokers: b, TLS: broker.TLS{Cert: "/no/such/file", Key: "/no/such/file"}},
		{Brokers: b, SASL: broker.SASL{Mechanism: "SCRAM-SHA-256", User: "u", PasswordFile: "/no/such/file"}},
	} {
		if _, err := cfg.Options("test"); err == nil || !strings.Contains(err.Error(), "/no/such/file") {
			t.Errorf("error is %v", err)
		}
	}
}

func TestLayoutValidate(t *testing.T) {
	for l, ok := range map[broker.Layout]bool{
		{Partitions: 8, Replication: -1}:   true,
		{Partitions: 1, Replication: 3}:    true,
		{Partitions: 0, Replication: 1}:    false,
		{Partitions: 5000, Replication: 1}: false,
		{Partitions: 8, Replication: 0}:    false,
	} {
		if err := l.Validate(); (err == nil) != ok {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		want broker.Action
	}{
		{kerr.NotLeaderForPartition, broker.Retry},
		{kerr.RequestTimedOut, broker.Retry},
		{kerr.NotEnoughReplicas, broker.Retry},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, broker.Retry},
		{io.EOF, broker.Retry},
		{context.DeadlineExceeded, broker.Retry},
		{kgo.ErrRecordTimeout, broker.Retry},
		{kerr.MessageTooLarge, broker.DeadLetter},
		{kerr.InvalidRecord, broker.DeadLetter},
		{kerr.UnknownTopicOrPartition, broker.Stop},
		{kerr.TopicAuthorizationFailed, broker.Stop},
		{kerr.SaslAuthenticationFailed, broker.Stop},
		{kerr.ProducerFenced, broker.Stop},
		{context.Canceled, broker.Stop},
		{kgo.ErrClientClosed, broker.Stop},
		{errors.New("what is this"), broker.Stop},
	} {
		if got := broker.Classify(fmt.Errorf("publish: %w", c.err)); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

package broker_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/gpumeter/gpumeter/schemas/broker"
)

// identity makes a client's certificate that vouches for itself, and its key.
func identity(t *testing.T) (pool *x509.CertPool, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "collector", Organization: []string{"meters"}}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	pool = x509.NewCertPool()
	pool.AddCert(parsed)
	return pool, certFile, keyFile
}

func TestMutualTLS(t *testing.T) {
	server, ca := certificate(t, t.TempDir())
	pool, cert, key := identity(t)
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, pool
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(server))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg := broker.Config{Brokers: c.ListenAddrs(), TLS: broker.TLS{CA: ca, Cert: cert, Key: key}}
	if err := client(t, cfg).Ping(within(t)); err != nil {
		t.Error(err)
	}
	if got := cfg.Principal(); got != "User:CN=collector,O=meters" {
		t.Errorf("principal %s", got)
	}
	_, other, otherKey := identity(t)
	for name, bad := range map[string]broker.TLS{
		"no certificate":      {CA: ca},
		"another's":           {CA: ca, Cert: other, Key: otherKey},
		"unknown authority":   {Enabled: true, Cert: cert, Key: key},
		"another broker name": {CA: ca, Cert: cert, Key: key, ServerName: "elsewhere"},
	} {
		if err := client(t, broker.Config{Brokers: c.ListenAddrs(), TLS: bad}).Ping(within(t)); err == nil {
			t.Errorf("%s: is let in", name)
		}
	}
	mixed := broker.Config{Brokers: c.ListenAddrs(), TLS: broker.TLS{CA: ca, Cert: cert, Key: otherKey}}
	if _, err := mixed.Options("test"); err == nil {
		t.Error("a certificate goes with another's key")
	}
}

func TestExplainNamesWhoLacksARight(t *testing.T) {
	scram := broker.SASL{Mechanism: broker.ScramSHA256, User: "meter", PasswordFile: "f"}
	for want, cfg := range map[string]broker.Config{
		"User:meter":                              {SASL: scram},
		"User:ANONYMOUS":                          {},
		"the subject of the token of client c":    {SASL: broker.SASL{Mechanism: broker.OAuthBearer, OAuth: broker.OAuth{ClientID: "c"}}},
		"the subject of the token in f":           {SASL: broker.SASL{Mechanism: broker.OAuthBearer, TokenFile: "f"}},
		"the IAM identity of the AWS credentials": {SASL: broker.SASL{Mechanism: broker.AWSMSKIAM}},
	} {
		if got := cfg.Principal(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	cfg := broker.Config{SASL: scram}
	if err := cfg.Explain(kerr.GroupAuthorizationFailed); !errors.Is(err, kerr.GroupAuthorizationFailed) || broker.Classify(err) != broker.Stop {
		t.Errorf("%v", err)
	}
	if err := cfg.Explain(kerr.NotController); err != error(kerr.NotController) { //nolint:errorlint // it is to be the same
		t.Errorf("%v", err)
	}
	if err := cfg.Explain(nil); err != nil {
		t.Errorf("%v", err)
	}
}

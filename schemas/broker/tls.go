package broker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gpumeter/gpumeter/schemas/secret"
)

// TLS encrypts the connection. The zero value does not.
type TLS struct {
	Enabled    bool   `koanf:"enabled" doc:"encrypt the connection; also on when any of the files is given"`
	CA         string `koanf:"ca" doc:"PEM file of the authorities to trust; empty = the system's"`
	Cert       string `koanf:"cert" doc:"PEM file of the client's certificate, for mutual TLS"`
	Key        string `koanf:"key" doc:"PEM file of its key, which others must not be able to read"`
	ServerName string `koanf:"server_name" doc:"name in the brokers' certificates; empty = the host dialled"`
}

func (t TLS) on() bool { return t.Enabled || t.CA != "" || t.Cert != "" || t.Key != "" }

func (t TLS) validate() error {
	if (t.Cert == "") != (t.Key == "") {
		return errors.New("tls: cert and key go together: a client proves with the key that the certificate is its own")
	}
	return nil
}

func (t TLS) config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := readPEM(t.CA)
		if err != nil {
			return nil, fmt.Errorf("tls: ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls: ca: %s holds no certificate in PEM", t.CA)
		}
	}
	if t.Cert == "" {
		return conf, nil
	}
	pair, err := t.pair()
	if err != nil {
		return nil, err
	}
	conf.Certificates = []tls.Certificate{pair}
	return conf, nil
}

// pair reads the client's certificate and key.
func (t TLS) pair() (tls.Certificate, error) {
	cert, err := readPEM(t.Cert)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls: cert: %w", err)
	}
	key, err := secret.Read(t.Key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls: key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("tls: cert %s and key %s: %w", t.Cert, t.Key, err)
	}
	return pair, nil
}

// subject is the name in the client's certificate as Kafka writes it, empty where
// there is none.
func (t TLS) subject() string {
	if t.Cert == "" {
		return ""
	}
	pair, err := t.pair()
	if err != nil || pair.Leaf == nil {
		return ""
	}
	return pair.Leaf.Subject.String()
}

// maxPEM is the longest file of certificates that is read: those of all public
// authorities together have a quarter of it.
const maxPEM = 1 << 20

func readPEM(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	text, err := io.ReadAll(io.LimitReader(file, maxPEM+1))
	if err == nil && len(text) > maxPEM {
		err = fmt.Errorf("%s: longer than %d bytes: these are no certificates", path, maxPEM)
	}
	return text, err
}

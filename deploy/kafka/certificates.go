package kafka

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificatesLast is longer than any test.
const certificatesLast = 48 * time.Hour

// An Authority signs certificates for as long as tests run. Its files are PEM.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewAuthority makes an authority and its certificate, in a directory of its own.
func NewAuthority(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of the certificates: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	cert := certificate("gpumeter test authority", time.Now().Add(certificatesLast))
	cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage = true, true, x509.KeyUsageCertSign
	a := &Authority{dir: dir, cert: cert, key: key}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	return a, os.WriteFile(a.CA(), block("CERTIFICATE", der), 0o600)
}

// CA is the file of the authority's certificate.
func (a *Authority) CA() string { return filepath.Join(a.dir, "ca.pem") }

// Client makes a certificate of a client, and gives its file and its key's.
func (a *Authority) Client(name string) (cert, key string, err error) {
	return a.ClientUntil(name, time.Now().Add(certificatesLast))
}

// ClientUntil is Client with the certificate's last instant, which may be past.
func (a *Authority) ClientUntil(name string, until time.Time) (cert, key string, err error) {
	c := certificate(name, until)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	certPEM, keyPEM, err := a.sign(c)
	if err != nil {
		return "", "", err
	}
	cert, key = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	if err := os.WriteFile(cert, certPEM, 0o600); err != nil {
		return "", "", fmt.Errorf("write the certificate of %s: %w", name, err)
	}
	if err := os.WriteFile(key, keyPEM, 0o600); err != nil {
		return "", "", fmt.Errorf("write the key of %s: %w", name, err)
	}
	return cert, key, nil
}

func (a *Authority) serverFile() string { return filepath.Join(a.dir, "server.pem") }

// server writes key and certificate of the nodes, for the names of this machine.
func (a *Authority) server() error {
	c := certificate("localhost", time.Now().Add(certificatesLast))
	c.DNSNames, c.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	certPEM, keyPEM, err := a.sign(c)
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.serverFile(), bytes.Join([][]byte{keyPEM, certPEM}, nil), 0o600); err != nil {
		return fmt.Errorf("write the nodes' certificate: %w", err)
	}
	return nil
}

func (a *Authority) sign(c *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the key of %s: %w", c.Subject.CommonName, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the certificate of %s: %w", c.Subject.CommonName, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key) // the form that Java reads
	if err != nil {
		return nil, nil, fmt.Errorf("write the key of %s: %w", c.Subject.CommonName, err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret), nil
}

func certificate(name string, until time.Time) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 100))
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    until.Add(-2 * certificatesLast), // long since, whatever until is
		NotAfter:     until,
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

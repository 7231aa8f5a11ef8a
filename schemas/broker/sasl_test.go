package broker_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"

	"github.com/gpumeter/gpumeter/schemas/broker"
	"github.com/gpumeter/gpumeter/schemas/secret"
)

// A gate is the part of a broker that lets clients in, for mechanisms that the
// embedded one does not have: it notes what is sent and lets nobody in.
type gate struct {
	address string
	sent    chan []byte
}

func newGate(t *testing.T, server *tls.Config) *gate {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{address: listener.Addr().String(), sent: make(chan []byte, 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_ = g.talk(c) // ends when the client has gone
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return g
}

// talk answers requests until the client has authenticated, or goes.
func (g *gate) talk(c net.Conn) error {
	for {
		req, correlation, err := readRequest(c)
		if err != nil {
			return err
		}
		resp := req.ResponseKind()
		switch r := resp.(type) {
		case *kmsg.ApiVersionsResponse:
			for key, most := range map[int16]int16{3: 12, 17: 1, 18: 3, 36: 1} {
				r.ApiKeys = append(r.ApiKeys, kmsg.ApiVersionsResponseApiKey{ApiKey: key, MaxVersion: most})
			}
		case *kmsg.SASLHandshakeResponse:
			r.SupportedMechanisms = []string{req.(*kmsg.SASLHandshakeRequest).Mechanism}
		case *kmsg.SASLAuthenticateResponse:
			g.sent <- req.(*kmsg.SASLAuthenticateRequest).SASLAuthBytes
			r.ErrorCode = 58 // SASL_AUTHENTICATION_FAILED
		default:
			return fmt.Errorf("a client that is not let in asks for %T", req)
		}
		body := resp.AppendTo(binary.BigEndian.AppendUint32(nil, correlation)) // none of these has a flexible header
		if _, err := c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)); err != nil {
			return err
		}
	}
}

func readRequest(c net.Conn) (kmsg.Request, uint32, error) {
	var size [4]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		return nil, 0, err
	}
	body := make([]byte, min(binary.BigEndian.Uint32(size[:]), 1<<20))
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, 0, err
	}
	r := kbin.Reader{Src: body}
	req := kmsg.RequestForKey(r.Int16())
	if req == nil {
		return nil, 0, errors.New("unknown request")
	}
	req.SetVersion(r.Int16())
	correlation := uint32(r.Int32())
	r.NullableString() // client id
	if req.IsFlexible() {
		kmsg.SkipTags(&r)
	}
	return req, correlation, errors.Join(r.Complete(), req.ReadFrom(r.Src))
}

// sent connects with cfg and returns what is sent to be let in.
func sentBy(t *testing.T, cfg broker.Config, g *gate) []byte {
	t.Helper()
	cfg.Brokers = []string{g.address}
	cl := client(t, cfg)
	defer cl.Close()
	ctx, cancel := context.WithCancel(within(t))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cl.Ping(ctx) // is not let in
	}()
	defer func() { cancel(); <-done }()
	select {
	case b := <-g.sent:
		return b
	case <-ctx.Done():
		t.Fatal("nothing is sent")
		return nil
	}
}

// authenticates gives the mechanism of a client.
func authenticates(t *testing.T, cfg broker.Config) sasl.Mechanism {
	t.Helper()
	cfg.Brokers = []string{"127.0.0.1:1"}
	all, ok := client(t, cfg).OptValue(kgo.SASL).([]sasl.Mechanism)
	if !ok || len(all) != 1 {
		t.Fatalf("%v", all)
	}
	return all[0]
}

// put writes a secret and returns its path.
func put(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, []byte(text))
	return path
}

func TestTokenOfAFileIsSentAndReadAgain(t *testing.T) {
	server, ca := certificate(t, t.TempDir())
	file := put(t, "first\n")
	cfg := broker.Config{TLS: broker.TLS{CA: ca}, SASL: broker.SASL{Mechanism: broker.OAuthBearer, TokenFile: file}}
	if got := sentBy(t, cfg, newGate(t, server)); string(got) != "n,,\x01auth=Bearer first\x01\x01" {
		t.Errorf("sent %q", got)
	}
	m := authenticates(t, cfg)
	for _, token := range []string{"second", "third"} {
		write(t, file, []byte(token))
		if _, got, err := m.Authenticate(t.Context(), "b:1"); err != nil || !bytes.Contains(got, []byte("Bearer "+token+"\x01")) {
			t.Errorf("sent %q, %v, want %s", got, err, token)
		}
	}
}

// An issuer is a token endpoint that numbers its tokens.
type issuer struct {
	*httptest.Server
	issued  atomic.Int32
	expires atomic.Int32 // seconds
	status  atomic.Int32
	body    atomic.Pointer[string] // of an answer that is no token
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{}
	i.expires.Store(3600)
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if text := i.body.Load(); text != nil {
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(int(i.status.Load()))
			_, _ = io.WriteString(w, *text)
			return
		}
		if user != "meter" || password != "s3cret" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "kafka read" {
			t.Errorf("asked with %q, %q, %v", user, password, r.Form)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token%d","token_type":"Bearer","expires_in":%d}`, i.issued.Add(1), i.expires.Load())
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) config(t *testing.T) broker.Config {
	t.Helper()
	return broker.Config{TLS: broker.TLS{Enabled: true}, SASL: broker.SASL{
		Mechanism: broker.OAuthBearer,
		OAuth:     broker.OAuth{TokenURL: i.URL + "/token", ClientID: "meter", ClientSecretFile: put(t, "s3cret\n"), Scope: "kafka read"},
	}}
}

func TestTokenIsAskedForAndRenewedBeforeItsEnd(t *testing.T) {
	i := newIssuer(t)
	m := authenticates(t, i.config(t))
	for _, step := range []struct {
		expires int32
		want    string
	}{
		{3600, "token1"},
		{3600, "token1"}, // is good for long
	} {
		i.expires.Store(step.expires)
		if _, got, err := m.Authenticate(t.Context(), "b:1"); err != nil || !bytes.Contains(got, []byte("Bearer "+step.want+"\x01")) {
			t.Errorf("sent %q, %v, want %s", got, err, step.want)
		}
	}
	m = authenticates(t, i.config(t))
	i.expires.Store(59) // less than what must be left: each is used once
	for _, want := range []string{"token2", "token3"} {
		if _, got, err := m.Authenticate(t.Context(), "b:1"); err != nil || !bytes.Contains(got, []byte("Bearer "+want+"\x01")) {
			t.Errorf("sent %q, %v, want %s", got, err, want)
		}
	}
}

func TestTokenThatIsRefusedSaysSoAndNoSecret(t *testing.T) {
	i := newIssuer(t)
	for _, c := range []struct {
		status int32
		body   string
		want   string
	}{
		{http.StatusUnauthorized, `{"error":"invalid_client","error_description":"s3cret is wrong"}`, "invalid_client"},
		{http.StatusInternalServerError, strings.Repeat("s3cret ", 100_000), "500"},
		{http.StatusTemporaryRedirect, "", "307"}, // the secret does not follow
		{http.StatusOK, `{"token_type":"Bearer"}`, "token"},
	} {
		i.body.Store(&c.body)
		i.status.Store(c.status)
		_, _, err := authenticates(t, i.config(t)).Authenticate(t.Context(), "b:1")
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") || len(err.Error()) > 500 {
			t.Errorf("%d: %.600v", c.status, err)
		}
	}
}

// iamPayload is what AWS's own clients send, version 2020_10_22.
func iamPayload(t *testing.T, b []byte) map[string]string {
	t.Helper()
	got := map[string]string{}
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	for key, want := range map[string]string{
		"version": "2020_10_22", "host": "127.0.0.1", "user-agent": "gpumeter", "action": "kafka-cluster:Connect",
		"x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-signedheaders": "host", "x-amz-expires": "300",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q", key, got[key], want)
		}
	}
	if len(got["x-amz-signature"]) != 64 || len(got["x-amz-date"]) != len("20060102T150405Z") {
		t.Errorf("signature %q of %q", got["x-amz-signature"], got["x-amz-date"])
	}
	if bytes.Contains(b, []byte("s3cret")) {
		t.Error("the secret key is sent")
	}
	return got
}

func TestIAMSignsWithTheEnvironmentOrTheSharedFile(t *testing.T) {
	server, ca := certificate(t, t.TempDir())
	cfg := broker.Config{TLS: broker.TLS{CA: ca}, SASL: broker.SASL{Mechanism: broker.AWSMSKIAM}}
	for name, value := range map[string]string{"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "AKENV", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_SESSION_TOKEN": "session"} {
		t.Setenv(name, value)
	}
	got := iamPayload(t, sentBy(t, cfg, newGate(t, server)))
	if c := got["x-amz-credential"]; !strings.HasPrefix(c, "AKENV/") || !strings.HasSuffix(c, "/eu-west-1/kafka-cluster/aws4_request") || got["x-amz-security-token"] != "session" {
		t.Errorf("credential %q, token %q", c, got["x-amz-security-token"])
	}

	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	file := put(t, "[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = s3cret\n\n[meter]\n# a comment = here\naws_access_key_id=AKMETER\naws_secret_access_key=s3cret=\n")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	for profile, want := range map[string]string{"": "AKDEFAULT/", "meter": "AKMETER/"} {
		t.Setenv("AWS_PROFILE", profile)
		got := iamPayload(t, sentBy(t, cfg, newGate(t, server)))
		if !strings.HasPrefix(got["x-amz-credential"], want) || got["x-amz-security-token"] != "" {
			t.Errorf("profile %q: %v", profile, got)
		}
	}
	t.Setenv("AWS_PROFILE", "nobody")
	cfg.Brokers = []string{"b:1"}
	if _, err := cfg.Options("test"); err == nil || !strings.Contains(err.Error(), `no profile "nobody"`) {
		t.Errorf("%v", err)
	}
}

// Secrets that others can read are refused, whatever they are for.
func TestExposedSecretsAreRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	write(t, file, []byte("s3cret"))
	if err := os.Chmod(file, 0o666); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	_, ca := certificate(t, dir)
	secured := broker.TLS{Enabled: true}
	for name, cfg := range map[string]broker.Config{
		"password":      {SASL: broker.SASL{Mechanism: broker.ScramSHA512, User: "u", PasswordFile: file}},
		"key":           {TLS: broker.TLS{Cert: ca, Key: file}},
		"token":         {TLS: secured, SASL: broker.SASL{Mechanism: broker.OAuthBearer, TokenFile: file}},
		"client secret": {TLS: secured, SASL: broker.SASL{Mechanism: broker.OAuthBearer, OAuth: broker.OAuth{TokenURL: "https://t", ClientID: "c", ClientSecretFile: file}}},
		"AWS":           {TLS: secured, SASL: broker.SASL{Mechanism: broker.AWSMSKIAM}},
	} {
		cfg.Brokers = []string{"b:1"}
		if _, err := cfg.Options("test"); !errors.Is(err, secret.ErrExposed) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

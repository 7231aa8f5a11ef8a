package insert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"
)

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{context.Canceled, false},
		{context.DeadlineExceeded, true},
		{io.ErrUnexpectedEOF, true},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		{fmt.Errorf("insert: %w", &ch.Exception{Code: proto.ErrTooManyParts}), true},
		{fmt.Errorf("insert: %w", &driver.Exception{Code: int32(proto.ErrMemoryLimitExceeded)}), true},
		{&ch.Exception{Code: proto.ErrUnknownTable}, false},
		{&driver.Exception{Code: int32(proto.ErrNoSuchColumnInTable)}, false},
		{&driver.Exception{Code: int32(proto.ErrTypeMismatch)}, false},
		{errors.New("anything else"), false},
	} {
		if got := Retriable(c.err); got != c.want {
			t.Errorf("%v: retriable %v, want %v", c.err, got, c.want)
		}
	}
}

func one() proto.Input {
	return proto.Input{{Name: "n", Data: proto.ColUInt64{42}}}
}

func TestHTTPInsertSendsTheBlockAndTheAccount(t *testing.T) {
	var query, user, key string
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		query, user, key = r.URL.Query().Get("query"), r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	inserter, err := New(strings.Replace(server.URL, "http://", "http://u:p@", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inserter.Close() }()
	if err := inserter.Insert(t.Context(), "t", one()); err != nil {
		t.Fatal(err)
	}
	if want := `INSERT INTO gpumeter.t ("n") FORMAT Native`; query != want || user != "u" || key != "p" {
		t.Errorf("query %q by %s:%s, want %q by u:p", query, user, key, want)
	}
	if want := "\x01\x01\x01n\x06UInt64\x2a\x00\x00\x00\x00\x00\x00\x00"; string(body) != want {
		t.Errorf("body %q, want %q", body, want)
	}
}

func TestHTTPAnswersAreClassified(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		want   bool
	}{
		{http.StatusInternalServerError, "252", true}, // TOO_MANY_PARTS
		{http.StatusNotFound, "60", false},            // UNKNOWN_TABLE
		{http.StatusBadGateway, "", true},             // a proxy without its server
		{http.StatusForbidden, "", false},
		{http.StatusOK, "241", true}, // an exception after the status line
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.code != "" {
				w.Header().Set("X-ClickHouse-Exception-Code", c.code)
			}
			w.WriteHeader(c.status)
		}))
		inserter, err := New(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		err = inserter.Insert(t.Context(), "t", one())
		if err == nil || Retriable(err) != c.want {
			t.Errorf("status %d, code %q: %v, retriable %v, want %v", c.status, c.code, err, Retriable(err), c.want)
		}
		_ = inserter.Close()
		server.Close()
	}
}

func TestServerThatIsAwayIsRetriable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	for _, scheme := range []string{"clickhouse", "http"} {
		inserter, err := New(scheme + "://" + address)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if err := inserter.Insert(ctx, "t", one()); !Retriable(err) {
			t.Errorf("%s: %v is not retriable", scheme, err)
		}
		cancel()
		_ = inserter.Close()
	}
}

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

func TestErrorsAreClassified(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Action
	}{
		{nil, Stop},
		{context.Canceled, Stop},
		{context.DeadlineExceeded, Retry},
		{io.ErrUnexpectedEOF, Retry},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, Retry},
		{fmt.Errorf("insert: %w", &ch.Exception{Code: proto.ErrTooManyParts}), Retry},
		{fmt.Errorf("insert: %w", &driver.Exception{Code: int32(proto.ErrMemoryLimitExceeded)}), Retry},
		{&ch.Exception{Code: proto.ErrTableIsReadOnly}, Retry},
		{&ch.Exception{Code: proto.ErrNotEnoughSpace}, Retry},
		{&ch.Exception{Code: 1001}, Retry}, // STD_EXCEPTION: a full disk, said by the file system
		{&ch.Exception{Code: proto.ErrUnknownTable}, Stop},
		{&driver.Exception{Code: int32(proto.ErrNoSuchColumnInTable)}, Stop},
		{&driver.Exception{Code: int32(proto.ErrTypeMismatch)}, Stop},
		{fmt.Errorf("connect: %w", &ch.Exception{Code: proto.ErrAuthenticationFailed}), Mend},
		{&driver.Exception{Code: int32(proto.ErrAccessDenied)}, Mend},
		{errors.New("anything else"), Stop},
	} {
		if got := Classify(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

// A server that is frozen takes connections and bytes until buffers are full,
// and says nothing. The block is larger than they are.
func TestServerThatIsFrozenIsGivenUp(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	large := proto.Input{{Name: "n", Data: make(proto.ColUInt64, 4<<20)}}
	for _, scheme := range []string{"clickhouse", "http"} {
		inserter, err := New(scheme + "://" + listener.Addr().String() + "?read_timeout=300ms")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- inserter.Insert(t.Context(), "t", large) }()
		select {
		case err := <-ended:
			if Classify(err) != Retry {
				t.Errorf("%s: %v is %v", scheme, err, Classify(err))
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s: still waiting", scheme)
		}
		_ = inserter.Close()
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
		want   Action
	}{
		{http.StatusInternalServerError, "252", Retry}, // TOO_MANY_PARTS
		{http.StatusNotFound, "60", Stop},              // UNKNOWN_TABLE
		{http.StatusForbidden, "516", Mend},            // AUTHENTICATION_FAILED
		{http.StatusBadGateway, "", Retry},             // a proxy without its server
		{http.StatusForbidden, "", Mend},
		{http.StatusNotFound, "", Stop}, // not a ClickHouse at all
		{http.StatusOK, "241", Retry},   // an exception after the status line
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
		if err == nil || Classify(err) != c.want {
			t.Errorf("status %d, code %q: %v is %v, want %v", c.status, c.code, err, Classify(err), c.want)
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
		if err := inserter.Insert(ctx, "t", one()); Classify(err) != Retry {
			t.Errorf("%s: %v is %v", scheme, err, Classify(err))
		}
		cancel()
		_ = inserter.Close()
	}
}

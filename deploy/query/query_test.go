package query

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// server answers like ClickHouse as far as Run looks.
func server(t *testing.T, handler func(w http.ResponseWriter, r *http.Request, sql string)) *url.URL {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sql, _ := io.ReadAll(r.Body)
		handler(w, r, string(sql))
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAnswerIsCopied(t *testing.T) {
	u := server(t, func(w http.ResponseWriter, r *http.Request, sql string) {
		if sql != "SELECT 'ü; --'" || r.URL.Query().Get("default_format") != "JSON" || r.URL.Query().Get("database") != "gpumeter" {
			t.Errorf("%q, %v", sql, r.URL)
		}
		if r.Header.Get("X-ClickHouse-User") != "ann" || r.Header.Get("X-ClickHouse-Key") != "s:e/c" || r.Header.Get("Authorization") != "" {
			t.Errorf("%v", r.Header)
		}
		_, _ = io.WriteString(w, "answer\n")
	})
	u.User = url.UserPassword("ann", "s:e/c")
	u.RawQuery = "database=gpumeter"
	var out strings.Builder
	if err := Run(t.Context(), u, "SELECT 'ü; --'", "JSON", &out); err != nil || out.String() != "answer\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestRefusalIsAnErrorInTheServersWords(t *testing.T) {
	u := server(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		http.Error(w, "Code: 60. DB::Exception: Unknown table", http.StatusNotFound)
	})
	var out strings.Builder
	err := Run(t.Context(), u, "SELECT 1 FROM nowhere", Format, &out)
	if err == nil || err.Error() != "Code: 60. DB::Exception: Unknown table" || out.String() != "" {
		t.Errorf("%q, %v", out.String(), err)
	}
}

func TestCutAnswerIsAnError(t *testing.T) {
	u := server(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
	})
	if err := Run(t.Context(), u, "SELECT 1", Format, io.Discard); err == nil {
		t.Error("half an answer is no error")
	}
}

func TestNobodyThere(t *testing.T) {
	u := server(t, func(http.ResponseWriter, *http.Request, string) {})
	u.Host = "127.0.0.1:1"
	if err := Run(t.Context(), u, "SELECT 1", Format, io.Discard); err == nil || !strings.Contains(err.Error(), "query:") {
		t.Errorf("%v", err)
	}
}

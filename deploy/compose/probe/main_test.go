package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProbe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.Error(w, "starting", http.StatusServiceUnavailable)
		}
	}))
	if err := probe([]string{server.URL + "/readyz"}); err != nil {
		t.Error(err)
	}
	if err := probe([]string{server.URL + "/other"}); err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "starting") {
		t.Errorf("not ready: %v", err)
	}
	server.Close()
	if probe([]string{server.URL + "/readyz"}) == nil {
		t.Error("nobody answers")
	}
	if probe(nil) == nil || probe([]string{"a", "b"}) == nil {
		t.Error("any number of arguments")
	}
}

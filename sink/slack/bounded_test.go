package slack

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnswersAreBounded(t *testing.T) {
	for size, ok := range map[int]bool{maxAnswer: true, maxAnswer + 1: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", size))
		}))
		client := httpClient()
		answer, err := client.Get(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		if (err == nil) != ok || ok && len(text) != size {
			t.Errorf("%d bytes: read %d, %v", size, len(text), err)
		}
		_ = answer.Body.Close()
		client.CloseIdleConnections()
		server.Close()
	}
}

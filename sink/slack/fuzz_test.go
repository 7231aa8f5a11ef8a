package slack

import (
	"strings"
	"testing"
)

// Whatever Slack answers with an error, it is judged, and what is said of it is
// one line of bounded length.
func FuzzAnswer(f *testing.F) {
	f.Add(200, "ok")
	f.Add(400, "invalid_payload")
	f.Add(404, "no_service")
	f.Add(500, "<html>\n")
	f.Fuzz(func(t *testing.T, status int, body string) {
		if reason := judgeAnswer(status, body).Reason; len(reason) > 64 || strings.ContainsAny(reason, "\n<\"") {
			t.Fatalf("%d %q: counted as %q", status, body, reason)
		}
	})
}

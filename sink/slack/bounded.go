package slack

import (
	"fmt"
	"io"
	"net/http"
)

// maxAnswer is more than any of Slack's answers that we ask for: a page of
// messages of a channel.
const maxAnswer = 4 << 20

// bounded cuts answers off: what calls itself Slack must not fill the memory.
type bounded struct{ http.RoundTripper }

// RoundTrip fails the reading of an answer that is longer than maxAnswer.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		answer.Body = &boundedBody{ReadCloser: answer.Body, left: maxAnswer}
	}
	return answer, err
}

// CloseIdleConnections ends what http.Client.CloseIdleConnections asks for.
func (b bounded) CloseIdleConnections() {
	(&http.Client{Transport: b.RoundTripper}).CloseIdleConnections()
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return n, err
}

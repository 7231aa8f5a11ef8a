// Package query sends SQL to ClickHouse over HTTP and copies the answer as it
// comes, in any of ClickHouse's output formats. It parses neither.
package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Format is the output format of people.
const Format = "PrettyCompactMonoBlock"

// maxError bounds how much of a refusal is read.
const maxError = 16 << 10

// Run runs sql at the server and writes the answer to out, in the format that
// sql names, else in format. A refusal of the server is an error with its words.
func Run(ctx context.Context, server *url.URL, sql, format string, out io.Writer) error {
	target := *server
	target.User = nil
	values := target.Query()
	// The answer comes only when the query has ended well, up to a bound: a
	// failure in the middle of a stream would look like its end.
	values.Set("wait_end_of_query", "1")
	values.Set("default_format", format)
	target.RawQuery = values.Encode()
	if target.Path == "" {
		target.Path = "/"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(sql))
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	if user := server.User; user != nil {
		request.Header.Set("X-ClickHouse-User", user.Username())
		if password, ok := user.Password(); ok {
			request.Header.Set("X-ClickHouse-Key", password)
		}
	}
	request.Close = true // one query, one connection
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		words, _ := io.ReadAll(io.LimitReader(response.Body, maxError))
		return errors.New(strings.TrimSpace(string(words)))
	}
	if _, err := io.Copy(out, response.Body); err != nil {
		return fmt.Errorf("query: read the answer: %w", err)
	}
	return nil
}

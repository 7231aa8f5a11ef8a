package insert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// overHTTP is an inserter over HTTP. A block is the same bytes as on the native
// protocol (FORMAT Native of revision 0).
type overHTTP struct {
	options *driver.Options
	client  *http.Client
	body    proto.Buffer
	next    int // address of the next insert after an error
}

func newOverHTTP(options *driver.Options) *overHTTP {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = options.TLS
	transport.DialContext = (&net.Dialer{Timeout: dialTimeout(options)}).DialContext
	return &overHTTP{options: options, client: &http.Client{Transport: transport}}
}

func (o *overHTTP) Insert(ctx context.Context, table string, block proto.Input) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout(o.options))
	defer cancel()
	o.body.Reset()
	head := proto.Block{Columns: len(block), Rows: block[0].Data.Rows()}
	if err := head.EncodeRawBlock(&o.body, 0, block); err != nil {
		return fmt.Errorf("encode a block for %s: %w", table, err)
	}
	if err := o.post(ctx, into(table, block)+" FORMAT Native"); err != nil {
		o.next++
		return fmt.Errorf("insert into %s: %w", table, err)
	}
	return nil
}

func (o *overHTTP) post(ctx context.Context, query string) error {
	values := url.Values{"query": {query}, "wait_end_of_query": {"1"}}
	for key, value := range settings() {
		values.Set(key, value)
	}
	target := url.URL{Scheme: "http", Host: o.options.Addr[o.next%len(o.options.Addr)], Path: "/" + strings.TrimPrefix(o.options.HttpUrlPath, "/"), RawQuery: values.Encode()}
	if o.options.TLS != nil {
		target.Scheme = "https"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(o.body.Buf))
	if err != nil {
		return err
	}
	request.Header.Set("X-ClickHouse-User", o.options.Auth.Username)
	request.Header.Set("X-ClickHouse-Key", o.options.Auth.Password)
	for key, value := range o.options.HttpHeaders {
		request.Header.Set(key, value)
	}
	response, err := o.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return err
	}
	return answer(response, strings.TrimSpace(string(text)))
}

// answer is the exception in a response, nil for none.
func answer(response *http.Response, text string) error {
	code, err := strconv.ParseInt(response.Header.Get("X-ClickHouse-Exception-Code"), 10, 32)
	switch {
	case err == nil:
		return &driver.Exception{Code: int32(code), Message: text}
	case response.StatusCode == http.StatusOK:
		return nil
	case response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("%w: %s: %s", errUnavailable, response.Status, text)
	case response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: %s: %s", errRefused, response.Status, text)
	}
	return fmt.Errorf("the server answered %s: %s", response.Status, text)
}

// A proxy's answers in the place of the server.
var (
	errUnavailable = errors.New("the server is not available")
	errRefused     = errors.New("the server does not let us in")
)

func (o *overHTTP) Close() error {
	o.client.CloseIdleConnections()
	return nil
}

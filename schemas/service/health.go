package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/net/netutil"
)

// errStarting is why a process that has just begun is not ready.
var errStarting = errors.New("starting")

// health answers "is it alive" and "is it of use now". A process that answers
// at all is alive.
type health struct {
	check atomic.Pointer[func() error] // nil until the component has started
}

func (h *health) ready() error {
	check := h.check.Load()
	if check == nil {
		return errStarting
	}
	return (*check)()
}

// routes are the pages of every binary.
func (h *health) routes(t *Telemetry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.Handler())
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}

// Bounds of what clients may send, how slowly, and how many there may be: others
// wait until one of these has gone, which requestTimeout and idleTimeout see to.
const (
	maxHeader      = 16 << 10
	maxConnections = 64
	requestTimeout = 5 * time.Second
	idleTimeout    = time.Minute
)

// serve answers on address until the returned function is called.
func serve(address string, handler http.Handler) (at string, stop func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", nil, fmt.Errorf("http.listen: %w", err)
	}
	server := &http.Server{
		Handler: http.MaxBytesHandler(handler, 0), MaxHeaderBytes: maxHeader, // a GET has no body
		ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: time.Minute, IdleTimeout: idleTimeout,
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(netutil.LimitListener(listener, maxConnections)) // ends with ErrServerClosed
	}()
	return listener.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close() // a scraper that is slower than a second is cut off
		}
		<-done
	}, nil
}

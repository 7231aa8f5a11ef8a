package chdb

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// A relay hands the connections of one public port to the engine's port of the
// moment. A client's reset becomes an orderly end of stream on the way.
type relay struct {
	listener net.Listener
	target   atomic.Pointer[string] // nil while no engine is up: connections are refused by closing them

	mu    sync.Mutex
	open  map[net.Conn]struct{}
	ended bool
	wait  sync.WaitGroup
}

func newRelay(address string) (*relay, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	r := &relay{listener: listener, open: map[net.Conn]struct{}{}}
	r.wait.Go(r.accept)
	return r, nil
}

func (r *relay) accept() {
	for {
		client, err := r.listener.Accept()
		if err != nil {
			return
		}
		if r.add(client) {
			r.wait.Go(func() { r.carry(client) })
		}
	}
}

func (r *relay) carry(client net.Conn) {
	defer r.remove(client)
	target := r.target.Load()
	if target == nil {
		return
	}
	engine, err := net.Dial("tcp", *target)
	if err != nil {
		return // the client sees its connection closed and tries again
	}
	if !r.add(engine) {
		return
	}
	defer r.remove(engine)
	up := make(chan struct{})
	go func() {
		defer close(up)
		_, _ = io.Copy(engine, client)
		_ = engine.(*net.TCPConn).CloseWrite()
	}()
	if _, err := io.Copy(client, engine); err != nil {
		_, _ = io.Copy(io.Discard, engine) // the client is gone: let the engine end in order
	}
	_ = client.Close() // also ends the copy above
	<-up
}

// add registers a connection to be closed by close; false once closed.
func (r *relay) add(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		_ = c.Close()
		return false
	}
	r.open[c] = struct{}{}
	return true
}

func (r *relay) remove(c net.Conn) {
	r.mu.Lock()
	delete(r.open, c)
	r.mu.Unlock()
	_ = c.Close()
}

// point sends new connections to address; empty: nowhere.
func (r *relay) point(address string) {
	if address == "" {
		r.target.Store(nil)
		return
	}
	r.target.Store(&address)
}

// close ends the listener and every connection and waits for them.
func (r *relay) close() error {
	err := r.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	r.mu.Lock()
	r.ended = true
	for c := range r.open {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.wait.Wait()
	return err
}

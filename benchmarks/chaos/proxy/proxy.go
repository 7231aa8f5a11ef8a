package proxy

import (
	"errors"
	"fmt"
	"net"
	"sync"
)

// A Proxy relays connections to one address. Its methods are for any goroutine.
type Proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	sky   sky
	open  map[*net.TCPConn]struct{}
	ended bool
	wait  sync.WaitGroup
}

// Listen relays a free loopback port to target, host:port, until Close.
func Listen(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the proxy of %s: %w", target, err)
	}
	p := &Proxy{listener: listener, target: target, sky: newSky(), open: map[*net.TCPConn]struct{}{}}
	p.wait.Go(p.accept)
	return p, nil
}

// Address is where the proxy listens.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Set changes the weather, for the connections that are open too.
func (p *Proxy) Set(w Weather) {
	p.mu.Lock()
	p.sky.set(w)
	p.mu.Unlock()
	if w.Down {
		p.Reset()
	}
}

// Reset ends every open connection as a crash of the other side would: what is
// under way is lost.
func (p *Proxy) Reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		reset(c)
	}
}

// Close ends the listener and every connection and waits for them.
func (p *Proxy) Close() error {
	err := p.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil
	}
	p.mu.Lock()
	if !p.ended {
		p.ended = true
		p.sky.set(Weather{Down: true}) // who waits for better weather wakes up
	}
	p.mu.Unlock()
	p.Reset()
	p.wait.Wait()
	return err
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0) // closes with a reset, and without what was not sent
	_ = c.Close()
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		client := conn.(*net.TCPConn)
		if p.add(client) {
			p.wait.Go(func() { p.carry(client) })
		}
	}
}

// add registers a connection, or resets it in weather that lets none through.
func (p *Proxy) add(c *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended || p.sky.now.Down {
		reset(c)
		return false
	}
	p.open[c] = struct{}{}
	return true
}

func (p *Proxy) remove(c *net.TCPConn) {
	p.mu.Lock()
	delete(p.open, c)
	p.mu.Unlock()
	_ = c.Close()
}

// carry relays one connection until both directions have ended.
func (p *Proxy) carry(client *net.TCPConn) {
	defer p.remove(client)
	conn, err := net.Dial("tcp", p.target)
	if err != nil {
		reset(client) // as if there were no proxy
		return
	}
	server := conn.(*net.TCPConn)
	if !p.add(server) {
		reset(client)
		return
	}
	defer p.remove(server)
	var both sync.WaitGroup
	both.Go(func() { p.stream(server, client) })
	both.Go(func() { p.stream(client, server) })
	both.Wait()
}

// weather is what it is, and a channel that is closed when it is over.
func (p *Proxy) weather() (Weather, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sky.now, p.sky.changed
}

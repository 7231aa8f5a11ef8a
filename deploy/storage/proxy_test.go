package storage

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// Steps at which a proxy stops an insert.
type step int

const (
	before  step = iota // nothing of the insert has reached the server
	middle              // half of what the client sends has
	unheard             // the server has stored it, and the client does not hear of it
)

func (s step) String() string {
	return [...]string{"before the insert", "in the middle of the insert", "acknowledged and not heard"}[s]
}

// A proxy stands between a sink and the server and does harm when told.
type proxy struct {
	*testing.T
	listener net.Listener
	target   string

	mu    sync.Mutex
	armed *ambush // nil: all passes
	away  bool    // connections are refused
	open  map[net.Conn]bool
	wait  sync.WaitGroup
}

// An ambush waits for the next insert into a table.
type ambush struct {
	table   string
	step    step
	reached chan struct{} // closed when an insert is held up
	over    chan struct{} // closed when it is let go
	once    sync.Once
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{T: t, listener: listener, target: target, open: map[net.Conn]bool{}}
	p.wait.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.free()
		p.wait.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// lurk holds up the next insert into a table; the channel is closed when it has.
func (p *proxy) lurk(table string, s step) (reached <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = &ambush{table: table, step: s, reached: make(chan struct{}), over: make(chan struct{})}
	return p.armed.reached
}

// free ends the ambush and resets every connection.
func (p *proxy) free() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.armed != nil {
		close(p.armed.over)
		p.armed = nil
	}
	for c := range p.open {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
}

// setAway makes the server unreachable, or reachable again.
func (p *proxy) setAway(away bool) {
	p.mu.Lock()
	p.away = away
	p.mu.Unlock()
	if away {
		p.free()
	}
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.carry(client) })
	}
}

func (p *proxy) keep(c net.Conn, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if on {
		p.open[c] = true
	} else {
		delete(p.open, c)
	}
}

func (p *proxy) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	p.mu.Lock()
	away := p.away
	p.mu.Unlock()
	if away {
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	for _, c := range []net.Conn{client, server} {
		p.keep(c, true)
		defer p.keep(c, false)
	}
	l := &line{proxy: p, client: client, server: server}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.down()
		_ = client.Close()
	}()
	l.up()
	_ = server.Close()
	<-done
}

// A line is one connection.
type line struct {
	proxy          *proxy
	client, server net.Conn

	mu       sync.Mutex
	hit      *ambush // the insert that it waited for is on this line
	answered bool    // the server has said something since: on the native protocol, what the columns are
	mute     bool    // the client hears no more
}

// up carries what the client says.
func (l *line) up() {
	var tail []byte // a statement may be cut anywhere
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.client.Read(buffer)
		if err != nil {
			return
		}
		said := buffer[:n]
		tail = append(tail[max(0, len(tail)-200):], said...)
		if !l.pass(said, tail) {
			return
		}
	}
}

// pass carries a piece on, or does to it what the ambush wants; false ends the line.
func (l *line) pass(said, tail []byte) bool {
	p := l.proxy
	p.mu.Lock()
	a := p.armed
	p.mu.Unlock()
	l.mu.Lock()
	hit, answered := l.hit, l.answered
	l.mu.Unlock()
	http := bytes.Contains(tail, []byte(" HTTP/1.1"))
	begins := hit == nil && a != nil && (bytes.Contains(tail, []byte("INSERT INTO gpumeter."+a.table+" ")) || bytes.Contains(tail, []byte("INSERT+INTO+gpumeter."+a.table+"+")))
	if begins {
		l.mu.Lock()
		l.hit, l.answered = a, false
		l.mu.Unlock()
		hit, answered = a, http // over HTTP the data follows the statement
	}
	switch {
	case hit == nil:
	case begins && hit.step == before:
		return l.hold(hit)
	case answered && hit.step == middle:
		_, _ = l.server.Write(said[:len(said)/2])
		return l.hold(hit)
	case answered && hit.step == unheard:
		l.mu.Lock()
		l.mute = true
		l.mu.Unlock()
		hit.once.Do(func() { close(hit.reached) })
	}
	_, err := l.server.Write(said)
	return err == nil
}

func (l *line) hold(a *ambush) bool {
	a.once.Do(func() { close(a.reached) })
	<-a.over
	return false
}

// down carries what the server says.
func (l *line) down() {
	buffer := make([]byte, 64<<10)
	for {
		n, err := l.server.Read(buffer)
		if err != nil {
			return
		}
		l.mu.Lock()
		l.answered = true
		mute := l.mute
		l.mu.Unlock()
		if mute {
			continue
		}
		if _, err := io.Copy(l.client, bytes.NewReader(buffer[:n])); err != nil {
			return
		}
	}
}

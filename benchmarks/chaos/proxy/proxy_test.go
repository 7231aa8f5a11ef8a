package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that sends back what it gets.
func echo(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		wait.Wait()
	})
	return listener.Addr().String()
}

func open(t *testing.T) *Proxy {
	t.Helper()
	p, err := Listen(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the echo's, which waits for its connections
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// dial connects through p; a test that hangs fails after patience.
func dial(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

const patience = 30 * time.Second

func send(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := conn.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func receive(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	if _, err := io.ReadFull(conn, b); err != nil || string(b) != text {
		t.Fatalf("received %q, %v, want %q", b, err, text)
	}
}

// refused wants a new connection to be reset, at once or as soon as it is used.
func refused(t *testing.T, p *Proxy) {
	t.Helper()
	conn, err := net.Dial("tcp", p.Address())
	if err == nil {
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(patience))
		_, err = conn.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a new connection ended with %v, want a reset", err)
	}
}

// ended wants a connection to be over by a reset.
func ended(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := conn.Read(make([]byte, 1))
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v, want a reset", err)
	}
}

// In fair weather bytes pass unchanged both ways, and an end in order is passed on
// behind them.
func TestFair(t *testing.T) {
	conn := dial(t, open(t))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB: more than is on the way at once
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.CloseWrite()
	}()
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(sent), err)
	}
}

func TestDown(t *testing.T) {
	p := open(t)
	before := dial(t, p)
	send(t, before, "x")
	receive(t, before, "x")
	p.Set(Weather{Down: true})
	ended(t, before)
	refused(t, p)
	p.Set(Weather{})
	after := dial(t, p)
	send(t, after, "y")
	receive(t, after, "y")
}

func TestReset(t *testing.T) {
	p := open(t)
	before := dial(t, p)
	send(t, before, "x")
	receive(t, before, "x")
	p.Reset()
	ended(t, before)
	after := dial(t, p)
	send(t, after, "y")
	receive(t, after, "y")
}

// What is sent while the link is held arrives when it is over, and not before.
func TestHeld(t *testing.T) {
	p := open(t)
	conn := dial(t, p)
	p.Set(Weather{Held: true})
	send(t, conn, "later")
	_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes came while the link was held", n)
	}
	p.Set(Weather{})
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	receive(t, conn, "later")
}

// A held proxy closes.
func TestCloseWhileHeld(t *testing.T) {
	p := open(t)
	conn := dial(t, p)
	send(t, conn, "x")
	receive(t, conn, "x")
	p.Set(Weather{Held: true})
	send(t, conn, "y")
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	ended(t, conn)
}

func TestLatency(t *testing.T) {
	p := open(t)
	conn := dial(t, p)
	const each = 150 * time.Millisecond
	p.Set(Weather{Latency: each})
	began := time.Now()
	send(t, conn, "there and back")
	receive(t, conn, "there and back")
	if took := time.Since(began); took < 2*each {
		t.Errorf("there and back took %v, less than %v", took, 2*each)
	}
}

func TestBandwidth(t *testing.T) {
	p := open(t)
	conn := dial(t, p)
	p.Set(Weather{BytesPerSecond: 100 << 10})
	text := string(bytes.Repeat([]byte("x"), 30<<10))
	began := time.Now()
	send(t, conn, text)
	receive(t, conn, text)
	if took := time.Since(began); took < 300*time.Millisecond {
		t.Errorf("30 KiB at 100 KiB/s took %v", took)
	}
}

// Without anybody behind it, a connection ends as one to nobody would.
func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	p, err := Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	refused(t, p)
}

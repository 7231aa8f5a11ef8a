package service

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestLongFilesAreNoConfiguration(t *testing.T) {
	for size, ok := range map[int]bool{maxFile: true, maxFile + 1: false} {
		c := defaults()
		err := Load(&c, Sources{File: write(t, "#"+strings.Repeat("x", size-1))})
		if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "longer than") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

type addressed struct {
	Config `koanf:",squash"`
	Server string `koanf:"server" secret:"address"`
}

// What stands in the arguments of a process, everybody on the machine reads.
func TestPasswordsAreRefusedAsArguments(t *testing.T) {
	const with, without = "http://u:topsecret@h", "http://u@h?password_file=x"
	for value, ok := range map[string]bool{with: false, without: true, "http://u:@h": true} {
		c := addressed{Config: DefaultConfig(0)}
		err := Load(&c, Sources{Set: []string{"server=" + value}})
		if (err == nil) != ok || err != nil && (strings.Contains(err.Error(), "topsecret") || !strings.Contains(err.Error(), "GPUMETER_SERVER")) {
			t.Errorf("%s: %v", value, err)
		}
	}
	c := addressed{Config: DefaultConfig(0)}
	if err := Load(&c, Sources{Env: []string{"GPUMETER_SERVER=" + with}, File: write(t, "server: "+with)}); err != nil || c.Server != with {
		t.Errorf("%s, %v", c.Server, err)
	}
}

// Every interface is listened on by those who say so, not by those who leave the
// host out.
func TestListenerWithoutHostIsRefused(t *testing.T) {
	for listen, ok := range map[string]bool{":9460": false, "0.0.0.0:9460": true, "[::]:9460": true, "127.0.0.1:0": true, "": true} {
		c := DefaultConfig(0)
		c.HTTP.Listen = listen
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("%q: %v", listen, err)
		}
	}
}

// serving runs a shell while test talks to it.
func serving(t *testing.T, test func(address string)) {
	t.Helper()
	err := Run(t.Context(), "t", DefaultConfig(0), io.Discard, func(_ context.Context, p *Process) error {
		p.Ready(nil)
		test(p.HTTP)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRequestsAreBounded(t *testing.T) {
	serving(t, func(address string) {
		for request, want := range map[string]int{
			"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n":                                                http.StatusOK,
			"GET /healthz HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 2*maxHeader) + "\r\nConnection: close\r\n\r\n": http.StatusRequestHeaderFieldsTooLarge,
			"POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\nConnection: close\r\n\r\n":                 http.StatusMethodNotAllowed,
		} {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			// A server that refuses may close before it has been told all.
			_, _ = io.WriteString(c, request)
			answer, _ := io.ReadAll(c)
			_ = c.Close()
			if !strings.HasPrefix(string(answer), fmt.Sprintf("HTTP/1.1 %d ", want)) {
				t.Errorf("%.40q…: %.60q, want %d", request, answer, want)
			}
		}
	})
}

func TestSlowRequestsAreCutOff(t *testing.T) {
	serving(t, func(address string) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost:"); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(c); err != nil {
			t.Errorf("the connection is still there: %v", err)
		}
	})
}

// Connections beyond the limit wait, and are served when another has ended.
func TestConnectionsAreBounded(t *testing.T) {
	serving(t, func(address string) {
		dial := func() net.Conn {
			c, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			return c
		}
		ask := func(c net.Conn, wait time.Duration) error {
			if _, err := io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
				return err
			}
			if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
				return err
			}
			_, err := io.ReadFull(c, make([]byte, len("HTTP/1.1 200 OK")))
			return err
		}
		first := dial()
		for c, n := first, 1; ; c, n = dial(), n+1 {
			if err := ask(c, time.Minute); err != nil {
				t.Fatalf("connection %d: %v", n, err)
			}
			if n == maxConnections {
				break
			}
		}
		// It is not served while the others are there: there is nothing to wait for.
		one := dial()
		if err := ask(one, 200*time.Millisecond); err == nil {
			t.Error("one more than the limit is served")
		}
		_ = first.Close()
		if err := one.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(one, make([]byte, 1)); err != nil {
			t.Errorf("it was not served after another had gone: %v", err)
		}
	})
}

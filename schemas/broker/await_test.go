package broker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// said tells of what is logged.
type said chan string

func (s said) Write(line []byte) (int, error) {
	select {
	case s <- string(line):
	default: // nobody listens any more
	}
	return len(line), nil
}

// away is a port of loopback at which nobody listens, and a client of it.
func away(t *testing.T) (port int, client *kgo.Client) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	_ = listener.Close()
	opts, err := Config{Brokers: []string{address.String()}}.Options("test")
	if err != nil {
		t.Fatal(err)
	}
	if client, err = kgo.NewClient(opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return address.Port, client
}

// A process that starts before its brokers waits for them, and says so.
func TestEnsureWaitsForBrokers(t *testing.T) {
	port, client := away(t)
	log := make(said, 1)
	done := make(chan error, 1)
	go func() {
		n, err := PrepareWhenThere(t.Context(), client, Layout{Partitions: 3, Replication: 1}, Use{Writes: []string{schemas.StreamSamples}}, slog.New(slog.NewTextHandler(log, nil)))
		if err == nil && n != 3 {
			err = errors.New(strconv.Itoa(int(n)) + " partitions")
		}
		done <- err
	}()
	select {
	case line := <-log:
		if !strings.Contains(line, "brokers are away") {
			t.Errorf("said %q", line)
		}
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	}
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(port))
	if err != nil {
		t.Fatal(err)
	}
	defer fake.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// The end of its context ends the wait.
func TestEnsureIsToldToStop(t *testing.T) {
	_, client := away(t)
	ctx, cancel := context.WithCancel(t.Context())
	log := make(said, 1)
	go func() {
		<-log
		cancel()
	}()
	_, err := PrepareWhenThere(ctx, client, DefaultLayout(), Use{Writes: []string{schemas.StreamSamples}}, slog.New(slog.NewTextHandler(log, nil)))
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What no waiting mends is said at once.
func TestEnsureDoesNotWaitForAnotherLayout(t *testing.T) {
	_, client := away(t)
	if _, err := PrepareWhenThere(t.Context(), client, Layout{Partitions: 0, Replication: 1}, Use{Writes: []string{schemas.StreamSamples}}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a layout of no partitions")
	}
}

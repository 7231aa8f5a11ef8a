package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	// startedLine is what a node logs when it serves clients: it has caught up
	// and the controllers have let it in.
	startedLine = "Kafka Server started"
	// stopWithin is what a stop in order may take.
	stopWithin = 30 * time.Second
	// lookAgain is how often what cannot be awaited is looked at.
	lookAgain = 50 * time.Millisecond
)

// A Node is one broker and controller. Its methods are for any goroutine.
type Node struct {
	cluster    *Cluster
	id         int
	listen     map[Listener]string // host:port it listens on
	advertised map[Listener]string // host:port it tells of

	mu  sync.Mutex
	run *running // nil before the first start
}

// running is one life of a node.
type running struct {
	command *exec.Cmd
	from    int64         // where in the log it begins
	done    chan struct{} // closed when it has ended
	err     error         // how, once done
}

// ID is the node's number, from 1.
func (n *Node) ID() int { return n.id }

// Address is where clients find a listener of the node.
func (n *Node) Address(l Listener) string { return n.advertised[l] }

// Kill ends the node as kill -9 does. One that does not run stays so.
func (n *Node) Kill() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.kill()
}

func (n *Node) kill() error {
	if err := n.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if n.run != nil {
		<-n.run.done
	}
	return nil
}

// Pause stops the node where it is, as SIGSTOP does: its connections stay.
func (n *Node) Pause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.signal(syscall.SIGSTOP)
}

// Resume ends a pause.
func (n *Node) Resume() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.signal(syscall.SIGCONT)
}

// Stop ends the node in order: it hands over what it leads. A node that does not
// end within half a minute is killed, and that is an error.
func (n *Node) Stop() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stop()
}

func (n *Node) stop() error {
	if !n.alive() {
		return nil
	}
	if err := errors.Join(n.signal(syscall.SIGTERM), n.signal(syscall.SIGCONT)); err != nil {
		return err
	}
	select {
	case <-n.run.done:
		return nil
	case <-time.After(stopWithin):
		return errors.Join(fmt.Errorf("kafka: node %d did not stop within %v and was killed: %s", n.id, stopWithin, n.said()), n.kill())
	}
}

// Restart starts the node again on its data, after a stop in order if it runs, and
// waits until it serves clients.
func (n *Node) Restart(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.stop(); err != nil {
		return err
	}
	if err := n.start(); err != nil {
		return err
	}
	return n.awaitServing(ctx)
}

// alive reports whether the node's process runs or is paused.
func (n *Node) alive() bool {
	if n.run == nil {
		return false
	}
	select {
	case <-n.run.done:
		return false
	default:
		return true
	}
}

func (n *Node) signal(s syscall.Signal) error {
	if !n.alive() {
		return nil
	}
	if err := n.run.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kafka: node %d: %v: %w", n.id, s, err)
	}
	return nil
}

// start starts the node's process.
func (n *Node) start() error {
	log, err := os.OpenFile(n.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("kafka: open the log of node %d: %w", n.id, err)
	}
	defer func() { _ = log.Close() }()
	at, err := log.Seek(0, 2)
	if err != nil {
		return fmt.Errorf("kafka: find the end of the log of node %d: %w", n.id, err)
	}
	cmd := n.cluster.javaCommand(context.Background(), "kafka.Kafka", n.path("properties"))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = dieWithParent()
	r := &running{command: cmd, from: at, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started a process for the
		// parent's: this one stays as long as the node.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			r.err = cmd.Wait()
			close(r.done)
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("kafka: start node %d: %w", n.id, err)
	}
	n.run = r
	return nil
}

// awaitServing waits until the node has logged that it serves clients.
func (n *Node) awaitServing(ctx context.Context) error {
	poll := time.NewTicker(lookAgain)
	defer poll.Stop()
	for {
		log, err := n.log()
		if err != nil {
			return err
		}
		if bytes.Contains(log, []byte(startedLine)) {
			return nil
		}
		select {
		case <-n.run.done:
			return fmt.Errorf("kafka: node %d ended while starting: %w: %s", n.id, n.run.err, n.said())
		case <-ctx.Done():
			return fmt.Errorf("kafka: wait for node %d: %w: %s", n.id, context.Cause(ctx), n.said())
		case <-poll.C:
		}
	}
}

// log is what the node has logged in its present life.
func (n *Node) log() ([]byte, error) {
	text, err := os.ReadFile(n.Log())
	if err != nil {
		return nil, fmt.Errorf("kafka: read the log of node %d: %w", n.id, err)
	}
	if n.run == nil {
		return text, nil
	}
	return text[n.run.from:], nil
}

// Log is the file that the node logs to, in all its lives.
func (n *Node) Log() string { return n.path("log") }

// Said is the end of what the node has logged.
func (n *Node) Said() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.said()
}

func (n *Node) said() string {
	log, err := n.log()
	if err != nil {
		return err.Error()
	}
	return tail(log)
}

// path is a file or directory of the node.
func (n *Node) path(name string) string {
	return filepath.Join(n.cluster.options.Dir, "node-"+strconv.Itoa(n.id)+"."+name)
}

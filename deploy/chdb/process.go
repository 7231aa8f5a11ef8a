package chdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A process is one engine child.
type process struct {
	native, http string // its own loopback addresses
	command      *exec.Cmd
	stop         *os.File      // writing end of the child's stop pipe
	output       *os.File      // what it printed
	done         chan struct{} // closed when it has ended
	err          error         // how it ended, once done
}

// startProcess starts this executable as an engine child and waits until both
// of its ports answer.
func startProcess(ctx context.Context, spec childSpec, lock *os.File) (*process, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, fmt.Errorf("find ports for the engine: %w", err)
	}
	spec.Native, spec.HTTP = ports[0], ports[1]
	p := &process{native: "127.0.0.1:" + spec.Native, http: "127.0.0.1:" + spec.HTTP, done: make(chan struct{})}
	if err := p.exec(spec, lock); err != nil {
		return nil, fmt.Errorf("start the engine: %w", err)
	}
	go func() {
		p.err = p.command.Wait()
		close(p.done)
	}()
	if err := p.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

func (p *process) exec(spec childSpec, lock *os.File) error {
	text, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	p.output, err = os.OpenFile(filepath.Join(spec.Dir, "engine.out"), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	listener, stop, err := os.Pipe()
	if err != nil {
		return errors.Join(err, p.output.Close())
	}
	p.stop = stop
	p.command = exec.Command("/proc/self/exe")
	p.command.Args = []string{"gpumeter-clickhouse", spec.Dir}
	p.command.Env = append(environment(), childEnv+"="+string(text), "TERM=dumb")
	p.command.Stdout, p.command.Stderr = p.output, p.output
	p.command.ExtraFiles = []*os.File{stopFD - 3: listener, lockFD - 3: lock}
	err = p.command.Start()
	_ = listener.Close()
	if err != nil {
		return errors.Join(err, p.output.Close(), stop.Close())
	}
	return nil
}

// environment is what the engine gets of ours: not the secrets that others put
// there, which a query could read in /proc/self.
func environment() (kept []string) {
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			kept = append(kept, name+"="+value)
		}
	}
	return kept
}

// awaitReady polls the ports: a listener that is not there yet cannot be
// awaited otherwise.
func (p *process) awaitReady(ctx context.Context) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for !p.answers(ctx) {
		select {
		case <-p.done:
			return fmt.Errorf("the engine ended while starting: %w: %s", p.err, p.said())
		case <-ctx.Done():
			return fmt.Errorf("wait for the engine: %w: %s", ctx.Err(), p.said())
		case <-poll.C:
		}
	}
	return nil
}

func (p *process) answers(ctx context.Context) bool {
	if _, err := ask(ctx, p.http, "SELECT 1"); err != nil {
		return false
	}
	c, err := net.Dial("tcp", p.native)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// said is the end of what the engine printed.
func (p *process) said() string {
	text, err := os.ReadFile(p.output.Name())
	if err != nil {
		return err.Error()
	}
	return tail([]byte(strings.ReplaceAll(string(text), "\n", " ")), 1000)
}

// end asks the engine to stop and kills it when it does not.
func (p *process) end() error {
	errs := []error{p.stop.Close()}
	select {
	case <-p.done:
	case <-time.After(stopTimeout):
		errs = append(errs, fmt.Errorf("the engine did not stop within %s and was killed", stopTimeout), p.command.Process.Kill())
		<-p.done
	}
	return errors.Join(append(errs, p.output.Close())...)
}

// freePorts returns n different loopback ports that were free a moment ago.
func freePorts(n int) ([]string, error) {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", loopback)
		if err != nil {
			return nil, err
		}
		defer func() { _ = l.Close() }() // all stay open until the last is chosen
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}

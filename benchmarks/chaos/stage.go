package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A stage is a process of the pipeline that is started again when it was killed.
// Its methods are for any goroutine.
type stage struct {
	name string
	path string // of the binary
	log  string // file that all its lives write to

	mu   sync.Mutex
	args []string // of the next life
	run  *life
}

// A life of a process lasts from its start to its end.
type life struct {
	cmd    *exec.Cmd
	killed bool // by us
	told   bool // by us, to end: killed or stopped
	done   chan struct{}
	err    error // of its end, once done
}

// set sets the settings of the next life.
func (s *stage) set(settings ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.args = nil
	for _, setting := range settings {
		s.args = append(s.args, "--set", setting)
	}
}

// begin starts the process. It may begin again when the last life is over.
func (s *stage) begin() (*life, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", s.name, err)
	}
	defer log.Close()
	cmd := exec.Command(s.path, s.args...)
	cmd.Env = append(os.Environ(), "GPUMETER_HTTP_LISTEN=")
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, dieWithParent()
	l := &life{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel takes the end of the thread that started a process for the
		// parent's: this one stays as long as the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			l.err = cmd.Wait()
			close(l.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", s.name, err)
	}
	s.run = l
	return l, nil
}

// signal reaches a process that runs; how tells what is meant by it.
func (s *stage) signal(sig syscall.Signal, how func(*life)) (*life, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.run == nil {
		return nil, fmt.Errorf("%s never ran", s.name)
	}
	how(s.run)
	if err := s.run.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return nil, fmt.Errorf("%s: %v: %w", s.name, sig, err)
	}
	return s.run, nil
}

// kill is kill -9.
func (s *stage) kill() error {
	l, err := s.signal(syscall.SIGKILL, func(l *life) { l.killed, l.told = true, true })
	if err == nil {
		<-l.done
	}
	return err
}

func (s *stage) freeze() error {
	_, err := s.signal(syscall.SIGSTOP, func(*life) {})
	return err
}

func (s *stage) thaw() error {
	_, err := s.signal(syscall.SIGCONT, func(*life) {})
	return err
}

// freezeFor stops the process where it is, and lets it go on.
func (s *stage) freezeFor(ctx context.Context, length time.Duration) error {
	if err := s.freeze(); err != nil {
		return err
	}
	pause(ctx, length)
	return s.thaw()
}

// over tells that the last life has ended.
func (s *stage) over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.run.done:
		return true
	default:
		return false
	}
}

// stopWithin is thrice what a service has to stop: the machine may be busy.
const stopWithin = 30 * time.Second

// stop asks the process to end, and wants it to end well.
func (s *stage) stop() error {
	l, err := s.signal(syscall.SIGTERM, func(l *life) { l.told = true })
	if err != nil {
		return err
	}
	select {
	case <-l.done:
		return s.ended(l)
	case <-time.After(stopWithin):
		return errors.Join(fmt.Errorf("%s did not stop within %v", s.name, stopWithin), s.kill())
	}
}

// ended is how a life ended: nil for exit code 0, and for a kill of ours.
func (s *stage) ended(l *life) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.killed || l.err == nil {
		return nil
	}
	return fmt.Errorf("%s gave up: %w: %s", s.name, l.err, lastLine(s.log))
}

func (s *stage) wasTold(l *life) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return l.told
}

// keep begins the stage anew whenever it was killed, until ctx ends. A stage that
// ends by itself is an error: what it named needs a person, and there is none.
func (s *stage) keep(ctx context.Context) error {
	for {
		l, err := s.begin()
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-l.done:
		}
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // told to stop
		case !s.wasTold(l):
			return errors.Join(s.ended(l), fmt.Errorf("%s ended before it was told to", s.name))
		}
	}
}

// lastLine is what a process said last, for an error message.
func lastLine(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1] + " (all of it: " + filepath.Base(log) + ")"
}

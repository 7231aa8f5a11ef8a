package pipeline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a binary that was started.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	log    *tail
	done   chan struct{}
	err    error // of Wait, valid when done is closed
	output io.Reader
}

// tail keeps what a process said last.
type tail struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.text.String()
	return text[max(0, len(text)-4000):]
}

// binaries are the commands, built by the first test that needs them.
func binaries(t *testing.T) (dir string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds binaries")
	}
	shared.build.Do(func() {
		if shared.bin, shared.buildErr = os.MkdirTemp("", "gpumeter-bin-"); shared.buildErr != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", shared.bin+"/", "./deploy/cmd/...", "./collector/cmd/...", "./processor/cmd/...", "./sink/cmd/...")
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			shared.buildErr = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if shared.buildErr != nil {
		t.Fatal(shared.buildErr)
	}
	return shared.bin
}

// start runs a binary; it is killed at the end of the test if it still runs.
func start(t *testing.T, bin, name string, args ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(filepath.Join(bin, name), args...), log: &tail{}, done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GPUMETER_HTTP_LISTEN=127.0.0.1:0")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.cmd.Stderr, p.output = in, p.log, out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		_ = out.Close()
		if t.Failed() {
			t.Logf("%s said last:\n%s", name, p.log)
		}
	})
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end and wants it to, well and in less than 10 s.
func (p *process) stop() {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("%s: %v", p.name, err)
	}
	p.wait(15 * time.Second)
	if took := time.Since(began); took > 10*time.Second {
		p.t.Errorf("%s took %v to stop", p.name, took)
	}
}

// wait wants the process to end by itself with exit code 0.
func (p *process) wait(atMost time.Duration) {
	p.t.Helper()
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("%s: %v", p.name, p.err)
		}
	case <-time.After(atMost):
		p.t.Fatalf("%s does not end", p.name)
	}
}

// told reads key=value lines up to the line "ready".
func (p *process) told() map[string]string {
	p.t.Helper()
	keys := map[string]string{}
	lines := bufio.NewScanner(p.output)
	for lines.Scan() {
		if lines.Text() == "ready" {
			return keys
		}
		key, value, _ := strings.Cut(lines.Text(), "=")
		keys[key] = value
	}
	p.t.Fatalf("%s ended before it was ready: %v", p.name, errors.Join(lines.Err(), errors.New(p.log.String())))
	return nil
}

package failover

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is for what takes some seconds on an idle machine.
const patience = 5 * time.Minute

// A worker is a processor in a process of its own.
type worker struct {
	t     *testing.T
	name  string
	cmd   *exec.Cmd
	input io.WriteCloser
	said  *log
	done  chan struct{} // closed when it has ended
	err   error         // how, once done
}

// log keeps all that a process says.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// start starts a worker, which is killed at the end of the test if it still runs.
func (b *bench) start(instance string, d doom) *worker {
	b.t.Helper()
	text, err := json.Marshal(orders{Brokers: b.brokers, Instance: instance, Doom: d})
	if err != nil {
		b.t.Fatal(err)
	}
	w := &worker{t: b.t, name: instance, cmd: exec.Command("/proc/self/exe"), said: &log{}, done: make(chan struct{})}
	w.cmd.Env = append(os.Environ(), ordersVariable+"="+string(text))
	w.cmd.Stdout, w.cmd.Stderr = w.said, w.said
	if w.input, err = w.cmd.StdinPipe(); err != nil {
		b.t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() {
		w.err = w.cmd.Wait()
		close(w.done)
	}()
	b.workers = append(b.workers, w)
	b.t.Cleanup(func() {
		w.kill()
		if b.t.Failed() {
			b.t.Logf("%s said last:\n%s", instance, tail(w.said.String()))
		}
	})
	return w
}

func tail(text string) string { return text[max(0, len(text)-3000):] }

// arm lets the worker's doom come.
func (w *worker) arm() {
	w.t.Helper()
	if _, err := io.WriteString(w.input, "arm\n"); err != nil {
		w.t.Fatal(err)
	}
}

// ended reports whether the worker's process is gone.
func (w *worker) ended() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// killed wants the worker's doom to have come.
func (w *worker) killed() {
	w.t.Helper()
	<-w.done
	if status, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		w.t.Fatalf("%s was to be killed and ended with %v\n%s", w.name, w.err, tail(w.said.String()))
	}
}

func (w *worker) kill() {
	_ = w.cmd.Process.Kill()
	<-w.done
}

// stop asks the worker to end in order, and wants it to.
func (w *worker) stop() {
	w.t.Helper()
	_ = w.input.Close()
	select {
	case <-w.done:
	case <-time.After(patience):
		w.t.Fatalf("%s does not stop\n%s", w.name, tail(w.said.String()))
	}
	if w.err != nil {
		w.t.Errorf("%s: %v\n%s", w.name, w.err, tail(w.said.String()))
	}
}

// frozen reports whether all of the worker's process is stopped.
func (w *worker) frozen() bool {
	text, err := os.ReadFile("/proc/" + pid(w) + "/stat")
	if err != nil {
		w.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), ") ")
	return strings.HasPrefix(after, "T")
}

func (w *worker) signal(s syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

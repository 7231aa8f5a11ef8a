//go:build cgo && linux

package nvml

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"

	"github.com/gpumeter/gpumeter/collector/owners"
	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// The library is loaded once a process and its symbols stay: so each test runs
// the source in a process of its own, this test binary, over the fake library of
// testdata. What the fake does to it, abort included, is seen from here.

// agentConfig in the environment makes the test binary an agent.
const agentConfig = "GPUMETER_TEST_AGENT"

func TestMain(m *testing.M) {
	if text := os.Getenv(agentConfig); text != "" {
		if err := agentMain(text); err != nil {
			fmt.Fprintln(os.Stderr, "agent:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// agentMain runs the source until standard input ends, rows on standard output.
func agentMain(config string) error {
	var cfg Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return err
	}
	to := &lines{out: json.NewEncoder(os.Stdout)}
	src, err := New(cfg, Env{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Meter: noop.Meter{}, Owners: to})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return src.Run(ctx, to)
}

// A row is one line of an agent's output; one of them is set.
type row struct {
	Sample   *contract.Sample
	Process  *schemas.Process
	Resource *schemas.Resource
	Held     []owners.Held
}

// lines is a sink, and an Owners, that writes rows.
type lines struct {
	rows // what is not written is not expected
	mu   sync.Mutex
	out  *json.Encoder
}

func (l *lines) write(r row) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Encode(r)
}

func (l *lines) Sample(s *contract.Sample) error   { return l.write(row{Sample: s}) }
func (l *lines) Process(p schemas.Process) error   { return l.write(row{Process: &p}) }
func (l *lines) Resource(r schemas.Resource) error { return l.write(row{Resource: &r}) }

func (l *lines) Observe(_ int64, held []owners.Held, _ source.Sink) (map[int]string, error) {
	return nil, l.write(row{Held: held})
}

// fakeLibrary builds the fake, once for each set of flags.
func fakeLibrary(t testing.TB, flags ...string) string {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc: the fake libnvidia-ml cannot be built, and the cgo path is not tested")
	}
	header, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/NVIDIA/go-nvml").Output()
	if err != nil {
		t.Skipf("no go command: where nvml.h is, is not known: %v", err)
	}
	lib := filepath.Join(t.TempDir(), "libnvidia-ml.so.1")
	args := append([]string{"-O1", "-shared", "-fPIC", "-pthread", "-I" + filepath.Join(strings.TrimSpace(string(header)), "pkg", "nvml"), "-o", lib}, flags...)
	if out, err := exec.Command(gcc, append(args, "testdata/fake_nvml.c")...).CombinedOutput(); err != nil {
		t.Fatalf("build the fake library: %v\n%s", err, out)
	}
	return lib
}

// An agent is the source in a process of its own.
type agent struct {
	t      *testing.T
	path   string // of the script
	stdin  io.Closer
	rows   chan row
	logs   logs
	ended  chan error
	script []string
}

// startAgent runs cfg over the fake with that script.
func startAgent(t *testing.T, lib string, cfg Config, script ...string) *agent {
	t.Helper()
	a := &agent{t: t, path: filepath.Join(t.TempDir(), "script"), rows: make(chan row, 10_000), ended: make(chan error, 1)}
	a.say(script...)
	cfg.Library = lib
	config, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), agentConfig+"="+string(config), "FAKE_NVML="+a.path)
	cmd.Stderr = &a.logs
	if a.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			var r row
			if json.Unmarshal(s.Bytes(), &r) == nil {
				a.rows <- r
			}
		}
		close(a.rows)
		a.ended <- cmd.Wait()
	}()
	t.Cleanup(a.stop)
	return a
}

// say adds lines to the script: later lines win.
func (a *agent) say(lines ...string) {
	a.t.Helper()
	a.script = append(a.script, lines...)
	if err := os.WriteFile(a.path+".new", []byte(strings.Join(a.script, "\n")+"\n"), 0o600); err != nil {
		a.t.Fatal(err)
	}
	if err := os.Rename(a.path+".new", a.path); err != nil {
		a.t.Fatal(err)
	}
}

// stop ends the agent, which must end well and in time.
func (a *agent) stop() {
	_ = a.stdin.Close()
	for range a.rows { // to its end
	}
	if err := <-a.ended; err != nil {
		a.t.Errorf("the agent ended with %v\n%s", err, a.logs.String())
	}
	a.ended <- nil // stop may be called again
}

// next is the next row that is wanted; others before it are dropped.
func (a *agent) next(what string, wanted func(row) bool) row {
	a.t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case r, ok := <-a.rows:
			if !ok {
				a.t.Fatalf("waiting for %s: the agent ended\n%s", what, a.logs.String())
			}
			if wanted(r) {
				return r
			}
		case <-limit:
			a.t.Fatalf("no %s\n%s", what, a.logs.String())
		}
	}
}

// sample is the next sample of the GPU and slice.
func (a *agent) sample(gpu, slice string) contract.Sample {
	a.t.Helper()
	return *a.next("sample of "+gpu+" "+slice, func(r row) bool {
		return r.Sample != nil && r.Sample.GPU == gpu && r.Sample.Slice == slice
	}).Sample
}

// refused runs an agent that is to fail at once and returns what it wrote. It
// must exit by itself: a call of a symbol that is not there would kill it.
func refused(t *testing.T, lib string, cfg Config, script ...string) string {
	t.Helper()
	a := startAgent(t, lib, cfg, script...)
	var exit *exec.ExitError
	if err := <-a.ended; !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("got %v, want exit code 1", err)
	}
	a.ended <- nil
	return a.logs.String()
}

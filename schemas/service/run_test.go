package service

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("SERVICE_TEST_BINARY") != "" {
		os.Exit(Main(Command(testBinary()), os.Args[1:], os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// testBinary prints "working" and ends with its context, or never.
func testBinary() Binary[testConfig] {
	return Binary[testConfig]{
		Use: "tester", Short: "Test.", Long: "Tests the shell.", Example: "  tester --set follow=true",
		Defaults: func() testConfig { c := defaults(); c.HTTP.Listen = "127.0.0.1:0"; return c },
		Shell:    func(c *testConfig) *Config { return &c.Config },
		Run: func(ctx context.Context, c testConfig, p *Process) error {
			p.Ready(nil)
			_, _ = os.Stdout.WriteString("working\n")
			if c.Follow {
				select {} // does not stop
			}
			<-ctx.Done()
			return nil
		},
	}
}

func get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestPages(t *testing.T) {
	lagging := errors.New("behind by 3 partitions")
	var answer error
	cfg := DefaultConfig(0)
	err := Run(t.Context(), "tester", cfg, io.Discard, func(_ context.Context, p *Process) error {
		if code, body := get(t, p.HTTP, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "starting") {
			t.Errorf("before Ready: %d %q", code, body)
		}
		if code, _ := get(t, p.HTTP, "/healthz"); code != http.StatusOK {
			t.Errorf("healthz: %d", code)
		}
		answer = lagging
		p.Ready(func() error { return answer })
		if code, body := get(t, p.HTTP, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, lagging.Error()) {
			t.Errorf("not ready: %d %q", code, body)
		}
		answer = nil
		if code, _ := get(t, p.HTTP, "/readyz"); code != http.StatusOK {
			t.Errorf("ready: %d", code)
		}
		rows, err := p.Meter("test").Int64Counter("gpumeter.test.rows", metric.WithUnit("{row}"), metric.WithDescription("Rows."))
		if err != nil {
			return err
		}
		for i := range 5000 { // more than the SDK's default of 2,000 label sets
			rows.Add(t.Context(), 1, metric.WithAttributes(attribute.Int("gpu", i)))
		}
		code, body := get(t, p.HTTP, "/metrics")
		for _, line := range []string{`gpumeter_test_rows_total{gpu="4999"} 1`, "go_goroutines", "process_resident_memory_bytes", `service_name="tester"`} {
			if code != http.StatusOK || !strings.Contains(body, line) {
				t.Errorf("/metrics (%d) lacks %s", code, line)
			}
		}
		if strings.Contains(body, "otel_metric_overflow") {
			t.Error("label sets were folded")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestPortInUse(t *testing.T) {
	cfg := DefaultConfig(0)
	err := Run(t.Context(), "a", cfg, io.Discard, func(ctx context.Context, p *Process) error {
		second := cfg
		second.HTTP.Listen = p.HTTP
		err := Run(ctx, "b", second, io.Discard, func(context.Context, *Process) error { t.Error("ran"); return nil })
		if err == nil || !strings.Contains(err.Error(), "http.listen") {
			t.Errorf("%v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestComponentErrorIsReturned(t *testing.T) {
	broken := errors.New("broken")
	if err := Run(t.Context(), "t", DefaultConfig(0), io.Discard, func(context.Context, *Process) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// In virtual time: a component that ends in time ends well, one that does not
// is left behind after StopWithin and not before.
func TestStop(t *testing.T) {
	for _, test := range []struct {
		takes time.Duration
		want  error
	}{{StopWithin - time.Millisecond, nil}, {StopWithin + time.Millisecond, ErrStopTimeout}} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			cfg := DefaultConfig(0)
			cfg.HTTP.Listen = "" // a socket is not virtual
			time.AfterFunc(time.Hour, cancel)
			began := time.Now()
			err := Run(ctx, "t", cfg, io.Discard, func(ctx context.Context, p *Process) error {
				<-ctx.Done()
				time.Sleep(test.takes)
				return nil
			})
			if !errors.Is(err, test.want) {
				t.Errorf("takes %v: %v", test.takes, err)
			}
			if took := time.Since(began) - time.Hour; took != min(test.takes, StopWithin) {
				t.Errorf("takes %v: returned after %v", test.takes, took)
			}
			synctest.Wait()
			time.Sleep(time.Second) // lets the late component end
		})
	}
}

// start runs the test binary as a process of its own.
func start(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "SERVICE_TEST_BINARY=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if _, err := io.ReadFull(out, make([]byte, len("working\n"))); err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	return cmd, &stderr
}

func TestFirstSignalStops(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd, stderr := start(t)
		if err := cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %v\n%s", signal, err, stderr)
		}
	}
}

func TestSecondSignalKills(t *testing.T) {
	cmd, _ := start(t, "--set", "follow=true")
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	// A second signal may come before the first was taken in; the third cannot.
	for {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
				t.Errorf("%v", err)
			}
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestHelpTeaches(t *testing.T) {
	cmd := Command(testBinary())
	var out bytes.Buffer
	cmd.SetOut(&out)
	if code := Main(cmd, []string{"--help"}, &out); code != 0 {
		t.Errorf("exit %d", code)
	}
	for _, part := range []string{"Tests the shell.", "tester --set follow=true", "--config FILE", "batch.wait", "1s", "longest time that a row is held", "GPUMETER_IDLE_EPSILON"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("--help does not say %q:\n%s", part, &out)
		}
	}
}

func TestMainSaysWhy(t *testing.T) {
	var stderr bytes.Buffer
	if code := Main(Command(testBinary()), []string{"--set", "batch.rows=0"}, &stderr); code != 1 {
		t.Errorf("exit %d", code)
	}
	if got := stderr.String(); got != "tester: configuration: batch.rows: less than 1\n" {
		t.Errorf("%q", got)
	}
}

func TestShellIsValidated(t *testing.T) {
	cfg := DefaultConfig(0)
	cfg.HTTP.Listen, cfg.Log.Format = "nowhere", "xml"
	err := Run(t.Context(), "t", cfg, io.Discard, func(context.Context, *Process) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "http.listen") || !strings.Contains(err.Error(), "log.format") {
		t.Errorf("%v", err)
	}
}

func TestLogger(t *testing.T) {
	var out bytes.Buffer
	Log{Format: "json"}.Logger(&out).Debug("quiet")
	Log{Format: "json"}.Logger(&out).Info("loud", "rows", 1)
	Log{Format: "text"}.Logger(&out).Info("loud", "rows", 2)
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, `"rows":1`) || !strings.Contains(got, "rows=2") {
		t.Error(got)
	}
}

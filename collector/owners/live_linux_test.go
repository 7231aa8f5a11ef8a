package owners

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
)

// child starts a process of its own and returns how to end it. It is up: what it
// is sent came back.
func child(t *testing.T, env ...string) (pid int, end func(os.Signal)) {
	t.Helper()
	cmd := exec.Command("cat", "-")
	cmd.Env = append(os.Environ(), env...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := false
	end = func(s os.Signal) {
		if !over {
			over = true
			_ = cmd.Process.Signal(s) // it may have ended
			_ = cmd.Wait()            // by the signal: always an error
		}
	}
	t.Cleanup(func() { end(os.Kill) })
	if _, err := in.Write([]byte("up")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid, end
}

func open(t *testing.T, cfg Config) *Tracker {
	t.Helper()
	tracker, err := New(cfg, "n1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tracker.Close(); err != nil {
			t.Error(err)
		}
	})
	return tracker
}

func observe(t *testing.T, tracker *Tracker, ts int64, held []Held, to source.Sink) map[int]string {
	t.Helper()
	ids, err := tracker.Observe(ts, held, to)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestChildOfThisTest(t *testing.T) {
	tracker, to := open(t, DefaultConfig()), newEvents()
	before := time.Now().UnixMilli()
	pid, end := child(t, "GPUMETER_TEAM=vision", "GPUMETER_SECRET=hunter2")
	after := time.Now().UnixMilli()

	held := []Held{{GPU: "GPU-b", PID: pid}, {GPU: "GPU-a", PID: pid}, {GPU: "GPU-a", PID: pid}}
	ids := observe(t, tracker, time.Now().UnixMilli(), held, to)
	got := to.take()
	if len(got) != 1 || got[0].Event != schemas.EventStart || ids[pid] != got[0].Allocation {
		t.Fatalf("ids %v, events %+v", ids, got)
	}
	start := got[0]
	if start.TS < before-2*tick || start.TS > after+2*tick {
		t.Errorf("started at %d, must lie in [%d, %d]", start.TS, before, after)
	}
	if want := []schemas.GPURef{{Node: "n1", GPU: "GPU-a"}, {Node: "n1", GPU: "GPU-b"}}; fmt.Sprint(start.GPUs) != fmt.Sprint(want) {
		t.Errorf("gpus %v", start.GPUs)
	}
	if fmt.Sprint(start.Command) != "[cat -]" || !strings.Contains(fmt.Sprint(start.Labels), "{team vision}") || strings.Contains(fmt.Sprint(start), "hunter2") {
		t.Errorf("said: %+v", start)
	}

	if tracker.Stats().Polled > 0 {
		t.Skip("this kernel has no pidfds: ends are seen by looking")
	}
	end(syscall.SIGTERM)
	gone := time.Now().UnixMilli()
	got = to.wait(t) // without an observation
	if len(got) != 1 || got[0].Event != schemas.EventEnd || got[0].Allocation != start.Allocation {
		t.Fatalf("events %+v", got)
	}
	if late := got[0].TS - gone; late < -1000 || late > 1000 {
		t.Errorf("end %d ms off", late)
	}
	if ids := observe(t, tracker, time.Now().UnixMilli(), held, to); ids[pid] != start.Allocation {
		t.Errorf("a pid that the driver still lists has %q", ids[pid])
	}
	if more := to.take(); len(more) > 0 {
		t.Errorf("said after the end: %+v", more)
	}
}

// What an agent says after a restart, of processes that still run, is to the
// letter what it said before: it counts once.
func TestRestartSaysTheSame(t *testing.T) {
	pid, _ := child(t)
	var said []string
	for range 3 {
		tracker, to := open(t, DefaultConfig()), newEvents()
		observe(t, tracker, time.Now().UnixMilli(), []Held{{GPU: "GPU-a", PID: pid}}, to)
		said = append(said, fmt.Sprintf("%+v", to.take()))
	}
	if said[0] != said[1] || said[1] != said[2] || !strings.Contains(said[0], "-"+strconv.Itoa(pid)) {
		t.Errorf("said\n%s\n%s\n%s", said[0], said[1], said[2])
	}
}

// How a process ended is known until its parent asks.
func TestOutcomeOfAChild(t *testing.T) {
	for signal, want := range map[syscall.Signal]string{syscall.SIGTERM: stateCancelled, syscall.SIGKILL: stateFailed} {
		tracker, to := open(t, DefaultConfig()), newEvents()
		pid, _ := child(t) // waited for at the end of the test
		observe(t, tracker, time.Now().UnixMilli(), []Held{{GPU: "GPU-a", PID: pid}}, to)
		to.take()
		if tracker.Stats().Polled > 0 {
			t.Skip("this kernel has no pidfds")
		}
		if err := syscall.Kill(pid, signal); err != nil {
			t.Fatal(err)
		}
		if got := to.wait(t); len(got) != 1 || got[0].State != want {
			t.Errorf("signal %v: %+v, want %s", signal, got, want)
		}
	}
}

// A process of another pid namespace, or one that has just gone, is nobody's.
func TestNobody(t *testing.T) {
	pid, end := child(t)
	end(os.Kill)
	tracker, to := open(t, DefaultConfig()), newEvents()
	ids := observe(t, tracker, time.Now().UnixMilli(), []Held{{GPU: "GPU-a", PID: pid}}, to)
	if len(ids) > 0 || len(to.take()) > 0 || tracker.Stats().Gone != 1 {
		t.Errorf("ids %v, stats %+v", ids, tracker.Stats())
	}
}

func BenchmarkSteadyState(b *testing.B) {
	tracker, err := New(DefaultConfig(), "n1")
	if err != nil {
		b.Fatal(err)
	}
	var held []Held
	for i := range 80 {
		cmd := exec.Command("sleep", "600")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		held = append(held, Held{GPU: "GPU-" + strconv.Itoa(i/10), PID: cmd.Process.Pid})
	}
	to := newEvents()
	ts := time.Now().UnixMilli()
	b.ReportAllocs()
	for b.Loop() {
		ts += 10_000
		if _, err := tracker.Observe(ts, held, to); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if err := tracker.Close(); err != nil {
		b.Fatal(err)
	}
}

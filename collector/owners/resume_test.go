package owners

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// restartable is a node whose tracker keeps its state.
func restartable(t *testing.T) (*node, Config) {
	t.Helper()
	n := &node{tree: newTree(t), to: newEvents()}
	cfg := n.config()
	cfg.State = filepath.Join(t.TempDir(), "owners.json")
	n.start(cfg)
	return n, cfg
}

const (
	lives   = "user/n1/0/3f2a9c01-1000-70"
	ends    = "user/n1/0/3f2a9c01-1100-71"
	endless = "slurm/n1/8123.0/3f2a9c01-1200-72"
)

// busy has one allocation of each sort, one of them without a process on a GPU.
func busy(t *testing.T) (*node, Config) {
	t.Helper()
	n, cfg := restartable(t)
	n.run(
		program{pid: 70, start: 10}, program{pid: 71, start: 11},
		program{pid: 72, start: 12, comm: "slurmstepd", cgroup: step + "/slurm"},
		program{pid: 73, ppid: 72, start: 13, cgroup: step + "/user/task_0"},
	)
	n.want(20, append(on("A", 70, 71), on("B", 73)...), "10 start "+lives+" A", "11 start "+ends+" A", "13 start "+endless+" B")
	n.exit(73)
	n.want(30, append(on("A", 70, 71), on("C", 70)...), "30 update "+lives+" A C")
	return n, cfg
}

// After a crash everything open is said again as it was; what went while nobody
// looked ended when it was last seen; what a job holds it still holds.
func TestRestart(t *testing.T) {
	n, cfg := busy(t)
	n.exit(71)
	n.start(cfg) // the tracker before was not closed: it crashed
	n.want(
		500, append(on("A", 70), on("C", 70)...),
		"13 start "+endless+" B", "10 start "+lives+" A", "30 update "+lives+" A C", "11 start "+ends+" A",
		"30 end "+ends+" completed",
	)
	n.exit(72)
	n.want(510, append(on("A", 70), on("C", 70)...), "510 end "+endless+" completed")
	n.exit(70)
	n.want(520, nil, "520 end "+lives+" completed")
}

// What ended shortly before a crash may not have reached the broker.
func TestRestartSaysEndsAgain(t *testing.T) {
	n, cfg := busy(t)
	n.exit(71)
	n.want(40, append(on("A", 70), on("C", 70)...), "40 end "+ends+" completed")
	n.start(cfg)
	_, said := n.see(50, append(on("A", 70), on("C", 70)...)...)
	if !strings.Contains(said, "11 start "+ends+" A\n40 end "+ends+" completed\n") || strings.Count(said, "end") != 1 {
		t.Errorf("said %s", said)
	}
	n.want(40+repeated/1000+1, append(on("A", 70), on("C", 70)...)) // the state is written without the end
	n.start(cfg)
	if _, said := n.see(700, append(on("A", 70), on("C", 70)...)...); strings.Contains(said, ends) {
		t.Errorf("said after ten minutes: %s", said)
	}
}

// No process survives a boot, though another has its pid.
func TestRestartAfterBoot(t *testing.T) {
	n, cfg := busy(t)
	n.boot("99999999-0000-4000-8000-000000000001")
	n.exit(71, 72)
	n.start(cfg)
	_, said := n.see(500, on("A", 70)...)
	for _, want := range []string{"30 end " + lives + " completed", "30 end " + ends + " completed", "30 end " + endless + " completed", "10 start user/n1/0/99999999-1000-70 A"} {
		if !strings.Contains(said, want) {
			t.Errorf("said\n%s\nwithout %s", said, want)
		}
	}
}

// A process that let go of its GPU before the restart begins another hold after
// it, not the one that ended.
func TestRestartKnowsWhoLetGo(t *testing.T) {
	n, cfg := restartable(t)
	n.run(program{pid: 70, start: 10})
	n.see(20, on("A", 70)...)
	n.see(30)
	n.want(60, nil, "30 end "+lives+" completed")
	n.start(cfg)
	if _, said := n.see(70, on("A", 70)...); !strings.HasSuffix(said, "60 start "+lives+"-2 A") {
		t.Errorf("said %s", said)
	}
}

// The time that was seen last is at most a heartbeat old.
func TestHeartbeat(t *testing.T) {
	n, cfg := restartable(t)
	n.run(program{pid: 70, start: 10})
	for s := int64(20); s <= 200; s += 10 {
		n.see(s, on("A", 70)...)
	}
	n.exit(70)
	n.start(cfg)
	_, said := n.see(9000)
	if !strings.HasSuffix(said, "200 end "+lives+" completed") {
		t.Errorf("said %s", said)
	}
}

func TestCloseWritesTheState(t *testing.T) {
	n, cfg := restartable(t)
	n.run(program{pid: 70, start: 10})
	n.see(20, on("A", 70)...)
	n.see(35, on("A", 70)...)
	if err := n.tracker.Close(); err != nil {
		t.Fatal(err)
	}
	n.exit(70)
	n.start(cfg)
	n.want(60, nil, "10 start "+lives+" A", "35 end "+lives+" completed")
}

func TestStateThatCannotBeUsed(t *testing.T) {
	n, cfg := busy(t)
	state, err := os.ReadFile(cfg.State)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(state), `"node":"n1"`, `"node":"n2"`, 1)
	for text, lost := range map[string]int64{"": 1, "{": 1, string(state[:len(state)/2]): 1, "{}": 0, other: 0} {
		if err := os.WriteFile(cfg.State, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n.start(cfg)
		_, said := n.see(40, on("A", 70)...)
		if said != "10 start "+lives+" A" || n.tracker.Stats().StateLost != lost {
			t.Errorf("state %.20q: said %s, stats %+v", text, said, n.tracker.Stats())
		}
	}
	if info, err := os.Stat(cfg.State); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the state has mode %v: commands are not for everybody (%v)", info.Mode(), err)
	}
}

// A disk that is full does not stop the metering.
func TestStateThatCannotBeWritten(t *testing.T) {
	n, cfg := restartable(t)
	n.run(program{pid: 70, start: 10})
	if err := os.RemoveAll(filepath.Dir(cfg.State)); err != nil {
		t.Fatal(err)
	}
	n.want(20, on("A", 70), "10 start "+lives+" A")
	if n.tracker.Stats().StateFails != 1 {
		t.Errorf("stats %+v", n.tracker.Stats())
	}
	if err := os.MkdirAll(filepath.Dir(cfg.State), 0o755); err != nil {
		t.Fatal(err)
	}
	n.want(30, on("A", 70))
	if _, err := os.Stat(cfg.State); err != nil {
		t.Errorf("not written again: %v", err)
	}
}

package owners

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
)

// Boot of the machine whose /proc the tests write.
const booted = 1_795_000_000_000

// at is the instant s seconds after boot.
func at(s int64) int64 { return booted + s*1000 }

// A program is one process of a written /proc.
type program struct {
	pid, ppid, session, tty int
	uid                     int
	start                   int64 // seconds since boot
	state                   string
	exit                    int
	comm, cgroup            string
	args, env               []string
}

// A tree is a /proc in a folder.
type tree struct {
	t   testing.TB
	dir string
}

func newTree(t testing.TB) tree {
	t.Helper()
	p := tree{t, t.TempDir()}
	p.write("stat", "cpu  1 2 3\nbtime "+strconv.Itoa(booted/1000)+"\n")
	p.boot("3f2a9c01-0000-4000-8000-000000000001")
	return p
}

func (p tree) boot(id string) { p.write("sys/kernel/random/boot_id", id+"\n") }

func (p tree) write(name, text string) {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// run writes processes as the kernel shows them.
func (p tree) run(programs ...program) {
	p.t.Helper()
	for _, x := range programs {
		if x.state == "" {
			x.state = "S"
		}
		if x.comm == "" {
			x.comm = "python"
		}
		if x.cgroup == "" {
			x.cgroup = "/"
		}
		d, n := strconv.Itoa(x.pid), strconv.Itoa
		p.write(d+"/stat", statLine(d, x.comm, x.state, n(x.ppid), n(x.session), n(x.tty), "1", strconv.FormatInt(x.start*ticksPerSecond, 10), n(x.exit)))
		p.write(d+"/status", fmt.Sprintf("Name:\t%s\nUid:\t%d\t%d\t%d\t%d\n", x.comm, x.uid, x.uid, x.uid, x.uid))
		p.write(d+"/cgroup", "0::"+x.cgroup+"\n")
		p.write(d+"/environ", nulled(x.env))
		p.write(d+"/cmdline", nulled(x.args))
	}
}

func nulled(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\x00") + "\x00"
}

// exit removes processes.
func (p tree) exit(pids ...int) {
	p.t.Helper()
	for _, pid := range pids {
		if err := os.RemoveAll(filepath.Join(p.dir, strconv.Itoa(pid))); err != nil {
			p.t.Fatal(err)
		}
	}
}

// without removes one file of a process.
func (p tree) without(pid int, name string) {
	p.t.Helper()
	if err := os.Remove(filepath.Join(p.dir, strconv.Itoa(pid), name)); err != nil {
		p.t.Fatal(err)
	}
}

func (p tree) config() Config {
	cfg := DefaultConfig()
	cfg.Proc = p.dir
	return cfg
}

// A node is a written /proc with a tracker on it, and what the tracker said.
type node struct {
	tree
	tracker *Tracker
	to      *events
}

func newNode(t testing.TB) *node {
	t.Helper()
	n := &node{tree: newTree(t), to: newEvents()}
	n.start(n.config())
	return n
}

// start begins a tracker, in place of the one before.
func (n *node) start(cfg Config) {
	n.t.Helper()
	tracker, err := New(cfg, "n1")
	if err != nil {
		n.t.Fatal(err)
	}
	n.tracker = tracker
	n.t.Cleanup(func() {
		if err := tracker.Close(); err != nil {
			n.t.Error(err)
		}
	})
}

// see observes at s seconds after boot and returns the ids and what was said.
func (n *node) see(s int64, held ...Held) (ids map[int]string, said string) {
	n.t.Helper()
	ids, err := n.tracker.Observe(at(s), held, n.to)
	if err != nil {
		n.t.Fatal(err)
	}
	return ids, brief(n.to.take())
}

// want observes and compares what was said, one event a line as brief shows it.
func (n *node) want(s int64, held []Held, want ...string) {
	n.t.Helper()
	if _, got := n.see(s, held...); got != strings.Join(want, "\n") {
		n.t.Errorf("at %d s\n%s\nwant\n%s", s, got, strings.Join(want, "\n"))
	}
}

// on is gpu held by pids.
func on(gpu string, pids ...int) (held []Held) {
	for _, pid := range pids {
		held = append(held, Held{GPU: gpu, PID: pid})
	}
	return held
}

// brief shows events: time in seconds after boot, event, id, GPUs, state.
func brief(all []schemas.Allocation) string {
	lines := make([]string, len(all))
	for i, e := range all {
		lines[i] = fmt.Sprintf("%g %s %s", float64(e.TS-booted)/1000, e.Event, e.Allocation)
		for _, g := range e.GPUs {
			lines[i] += " " + g.GPU
			if g.Slice != "" {
				lines[i] += "/" + g.Slice + ":" + strconv.Itoa(int(g.Share))
			}
		}
		if e.State != "" {
			lines[i] += " " + e.State
		}
	}
	return strings.Join(lines, "\n")
}

package owners

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
)

const (
	step    = "/system.slice/slurmstepd.scope/job_8123/step_0"
	login   = "/user.slice/user-1000.slice/session-3.scope"
	podUID1 = "2b1e4c6a-0d3f-4a5b-8c7d-9e0f1a2b3c4d"
)

var digits64 = strings.Repeat("0123456789abcdef", 4)

func podPath() string {
	return "/kubepods.slice/kubepods-pod" + strings.ReplaceAll(podUID1, "-", "_") + ".slice/cri-containerd-" + digits64 + ".scope"
}

// The workers of torchrun have sessions of their own; the shell of the terminal is
// the parent of everything that was started from it.
func TestProgramsOfALogin(t *testing.T) {
	n := newNode(t)
	shell := program{pid: 10, ppid: 9, session: 10, tty: 34816, uid: 1000, start: 5, comm: "bash", cgroup: login}
	sshd := program{pid: 9, ppid: 1, session: 9, uid: 1000, start: 4, comm: "sshd", cgroup: login}
	torchrun := program{pid: 20, ppid: 10, session: 10, tty: 34816, uid: 1000, start: 100, comm: "torchrun", cgroup: login}
	other := program{pid: 30, ppid: 10, session: 10, tty: 34816, uid: 1000, start: 101, cgroup: login}
	n.run(sshd, shell, torchrun, other)
	for pid := 21; pid <= 22; pid++ {
		n.run(program{pid: pid, ppid: 20, session: pid, uid: 1000, start: int64(pid) + 90, cgroup: login})
	}
	held := slices.Concat(on("A", 21), on("B", 22), on("C", 30))
	n.want(
		120, held,
		"101 start user/n1/1000/3f2a9c01-10100-30 C",
		"111 start user/n1/1000/3f2a9c01-11100-21 A",
		"112 update user/n1/1000/3f2a9c01-11100-21 A B",
	)
	n.want(130, held)
	n.exit(21)
	n.want(140, slices.Concat(on("B", 22), on("C", 30)), "140 update user/n1/1000/3f2a9c01-11100-21 B")
	n.exit(22, 30)
	n.want(
		150, nil,
		"150 end user/n1/1000/3f2a9c01-11100-21 completed",
		"150 end user/n1/1000/3f2a9c01-10100-30 completed",
	)
}

// A job holds what it used until its step's daemon is gone; a requeued run has an
// id of its own.
func TestSlurmHoldsToItsEnd(t *testing.T) {
	n := newNode(t)
	n.run(
		program{pid: 40, ppid: 1, start: 10, comm: "slurmstepd", cgroup: step + "/slurm"},
		program{pid: 41, ppid: 40, uid: 1000, start: 11, comm: "slurm_script", cgroup: step + "/user/task_0"},
		program{pid: 42, ppid: 41, uid: 1000, start: 20, cgroup: step + "/user/task_0"},
	)
	const id = "slurm/n1/8123.0/3f2a9c01-1000-40"
	n.want(25, on("A", 42), "20 start "+id+" A")
	n.exit(42)
	n.want(35, nil) // the next run will come
	n.run(program{pid: 43, ppid: 41, uid: 1000, start: 400, cgroup: step + "/user/task_0"})
	n.want(410, on("B", 43), "400 update "+id+" A B")
	n.run(program{pid: 43, ppid: 41, uid: 1000, start: 400, cgroup: step + "/user/task_0", state: "Z", exit: 1 << 8})
	n.want(420, nil)
	n.exit(40, 41, 43)
	n.want(425, nil, "425 end "+id+" failed")

	n.run(
		program{pid: 50, ppid: 1, start: 500, comm: "slurmstepd", cgroup: step + "/slurm"},
		program{pid: 51, ppid: 50, uid: 1000, start: 501, cgroup: step + "/user/task_0"},
	)
	n.want(510, on("A", 51), "501 start slurm/n1/8123.0/3f2a9c01-50000-50 A")
}

// A pod holds to its end what its environment says was granted to it; one that
// sees all GPUs holds what its processes use.
func TestPods(t *testing.T) {
	for devices, keeps := range map[string]bool{"NVIDIA_VISIBLE_DEVICES=GPU-5c8e": true, "NVIDIA_VISIBLE_DEVICES=all": false} {
		n := newNode(t)
		n.run(
			program{pid: 60, ppid: 59, start: 10, comm: "tini", cgroup: podPath()},
			program{pid: 61, ppid: 60, start: 20, cgroup: podPath(), env: []string{devices}},
			program{pid: 59, ppid: 1, start: 9, comm: "containerd-shim", cgroup: "/system.slice/containerd.service"},
		)
		ids, _ := n.see(30, on("A", 61)...)
		n.exit(61)
		if _, said := n.see(40); strings.Contains(said, "end") == keeps {
			t.Errorf("%s: after the process ended, the pod lives: %q", devices, said)
		}
		n.exit(60)
		_, said := n.see(50)
		if keeps != (said == "50 end "+ids[61]+" completed") {
			t.Errorf("%s: after the pod ended: %q", devices, said)
		}
	}
}

func TestWhatIsSaid(t *testing.T) {
	docker := "/system.slice/docker-" + digits64 + ".scope"
	for _, c := range []struct {
		program
		want schemas.Allocation // user, name, namespace, image, command
		also string             // a label
	}{
		{
			program{cgroup: step + "/user/task_0", uid: 4_000_000, args: []string{"python", "t.py", "--token=x"}, env: []string{"SLURM_JOB_USER=ann", "SLURM_JOB_NAME=llama", "SLURM_JOB_PARTITION=h100", "SLURM_JOB_ACCOUNT=nlp", "APPTAINER_CONTAINER=/img/pt.sif"}},
			schemas.Allocation{User: "ann", Name: "llama", Namespace: "h100", Image: "/img/pt.sif", Command: []string{"python", "t.py", "--token=***"}},
			"account=nlp",
		},
		{program{cgroup: step + "/user/task_0", uid: 4_000_000}, schemas.Allocation{User: "4000000", Name: "8123.0"}, "slurm_job_id=8123"},
		{
			program{cgroup: podPath(), uid: 1000, env: []string{"HOSTNAME=train-0", "POD_NAMESPACE=vision", "JUPYTERHUB_USER=bob"}},
			schemas.Allocation{User: "bob", Name: "train-0", Namespace: "vision"},
			"pod_uid=" + podUID1,
		},
		{program{cgroup: podPath(), uid: 1000, env: []string{"HOSTNAME=n1"}}, schemas.Allocation{Name: podUID1}, "container_id=" + digits64},
		{program{cgroup: docker, env: []string{"GPUMETER_TEAM=nlp"}}, schemas.Allocation{Name: digits64[:12]}, "team=nlp"},
		{program{cgroup: docker, uid: 4_000_000, env: []string{"GPUMETER_IMAGE=https://a:b@r/x"}}, schemas.Allocation{Name: digits64[:12], Image: "https://a:***@r/x"}, "container_runtime=docker"},
		{program{cgroup: "/user.slice/user-4000001.slice/user@4000001.service/user.slice/libpod-" + digits64 + ".scope/container", uid: 4_100_000}, schemas.Allocation{User: "4000001", Name: digits64[:12]}, "container_runtime=podman"},
		{program{cgroup: step, uid: 0, env: []string{"SLURM_JOB_USER=forged"}}, schemas.Allocation{User: "root", Name: "8123.0"}, ""},
		{program{cgroup: "/system.slice/vllm.service", uid: 0}, schemas.Allocation{User: "root", Name: "vllm.service"}, "systemd_unit=vllm.service"},
		{program{comm: "blender", uid: 4_000_000}, schemas.Allocation{User: "4000000", Name: "blender"}, ""},
	} {
		n := newNode(t)
		c.pid, c.ppid, c.start = 70, 1, 10
		n.run(c.program)
		if _, err := n.tracker.Observe(at(20), on("A", 70), n.to); err != nil {
			t.Fatal(err)
		}
		got := n.to.take()[0]
		w := c.want
		if got.User != w.User || got.Name != w.Name || got.Namespace != w.Namespace || got.Image != w.Image || !slices.Equal(got.Command, w.Command) {
			t.Errorf("%s: said %+v", c.cgroup, got)
		}
		key, value, _ := strings.Cut(c.also, "=")
		if c.also != "" && !slices.Contains(got.Labels, schemas.Label{Key: key, Value: value}) {
			t.Errorf("%s: labels %v lack %s", c.cgroup, got.Labels, c.also)
		}
	}
}

func TestSlices(t *testing.T) {
	n := newNode(t)
	n.run(program{pid: 70, start: 10})
	held := []Held{{GPU: "A", Slice: "MIG-2", Share: 142857, PID: 70}, {GPU: "A", Slice: "MIG-1", Share: 428571, PID: 70}}
	n.want(20, held, "10 start user/n1/0/3f2a9c01-1000-70 A/MIG-1:428571 A/MIG-2:142857")
}

// A display server is on every GPU and holds none; a program that comes under its
// pid does.
func TestIgnored(t *testing.T) {
	n := newNode(t)
	n.run(program{pid: 70, start: 10, comm: "Xorg"}, program{pid: 71, start: 11})
	n.want(20, on("A", 70, 71), "11 start user/n1/0/3f2a9c01-1100-71 A")
	n.want(30, on("A", 70, 71))
	if s := n.tracker.Stats(); s.Ignored != 2 {
		t.Errorf("stats %+v", s)
	}
	n.run(program{pid: 70, start: 35})
	n.want(40, on("A", 70, 71), "35 start user/n1/0/3f2a9c01-3500-70 A")
}

func TestPidReuse(t *testing.T) {
	n := newNode(t)
	n.run(program{pid: 70, start: 10})
	n.want(20, on("A", 70), "10 start user/n1/0/3f2a9c01-1000-70 A")
	n.run(program{pid: 70, start: 25, uid: 7})
	n.want(30, on("A", 70), "30 end user/n1/0/3f2a9c01-1000-70 completed", "25 start user/n1/7/3f2a9c01-2500-70 A")
}

// A driver that does not show a process for a moment does not end its hold; half a
// minute does, from its begin. What comes back is another hold.
func TestOffTheGPU(t *testing.T) {
	n := newNode(t)
	n.run(program{pid: 70, start: 10})
	const id = "user/n1/0/3f2a9c01-1000-70"
	n.want(20, on("A", 70), "10 start "+id+" A")
	n.want(30, nil)
	n.want(40, on("A", 70))
	n.want(50, nil)
	n.want(79, nil)
	n.want(80, nil, "50 end "+id+" completed")
	n.want(90, on("A", 70), "80 start "+id+"-2 A")
	n.want(100, append(on("A", 70), on("B", 70)...), "100 update "+id+"-2 A B")
	n.exit(70)
	n.want(110, nil, "110 end "+id+"-2 completed")
}

// A kernel of a notebook that takes a GPU after days did not hold it before.
func TestOldProcessComesToAGPU(t *testing.T) {
	n := newNode(t)
	n.run(program{pid: 70, start: 10}, program{pid: 71, start: 86_100})
	n.want(86_390, nil)
	n.want(86_400, slices.Concat(on("A", 70), on("B", 71)), "86100 start user/n1/0/3f2a9c01-8610000-71 B", "86390 start user/n1/0/3f2a9c01-1000-70 A")
}

func TestWhatCannotBeRead(t *testing.T) {
	n := newNode(t)
	n.run(program{pid: 70, start: 10, uid: 7, cgroup: podPath()}, program{pid: 71, start: 11}, program{pid: 72, start: 12})
	n.without(70, "cgroup")
	n.without(70, "environ")
	n.without(71, "stat")
	n.without(72, "stat")
	n.write("72/stat", "no stat")
	ids, said := n.see(20, on("A", 70, 71, 72, 99)...)
	if said != "10 start user/n1/7/3f2a9c01-1000-70 A" || len(ids) != 1 {
		t.Errorf("said %s, ids %v", said, ids)
	}
	if s := n.tracker.Stats(); s.Unreadable != 1 || s.Gone != 2 || s.Polled != 1 {
		t.Errorf("stats %+v", s)
	}
	n.write("70/stat", "no stat") // from now on nothing is known: it may live
	n.want(30, on("A", 70))
	n.exit(70)
	n.want(40, on("A", 70), "40 end user/n1/7/3f2a9c01-1000-70 completed")
}

// Of a process that is known nothing but its stat is looked at.
func TestKnownProcessesCostOneLook(t *testing.T) {
	n := newNode(t)
	n.run(program{pid: 70, start: 10, cgroup: step}, program{pid: 71, ppid: 70, start: 11, cgroup: step})
	ids, _ := n.see(20, on("A", 71)...)
	for _, pid := range []int{70, 71} {
		for _, name := range []string{"cgroup", "status", "environ", "cmdline"} {
			n.without(pid, name)
		}
	}
	again, said := n.see(30, on("A", 71)...)
	if said != "" || again[71] != ids[71] {
		t.Errorf("said %s; %v was %v", said, again, ids)
	}
}

// full is a sink that takes nothing.
type full struct{ source.Sink }

var errFull = errors.New("full")

func (full) Allocation(schemas.Allocation) error { return errFull }

func TestSinkFails(t *testing.T) {
	n := newNode(t)
	n.run(program{pid: 70, start: 10})
	ids, err := n.tracker.Observe(at(20), on("A", 70), full{})
	if !errors.Is(err, errFull) || ids[70] == "" {
		t.Errorf("ids %v, error %v", ids, err)
	}
	n.want(30, on("A", 70)) // it was said; the caller was told
}

func TestNewRefuses(t *testing.T) {
	good := newTree(t)
	for what, change := range map[string]func(*Config){
		"owners.proc":   func(c *Config) { c.Proc = "proc" },
		"btime":         func(c *Config) { c.Proc = t.TempDir() },
		"owners.state":  func(c *Config) { c.State = "state" },
		"cannot write":  func(c *Config) { c.State = t.TempDir() + "/none/state" },
		"owners.labels": func(c *Config) { c.Labels = []string{"TEAM"} },
	} {
		cfg := good.config()
		change(&cfg)
		if _, err := New(cfg, "n1"); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := New(good.config(), ""); err == nil {
		t.Error("a node without a name")
	}
}

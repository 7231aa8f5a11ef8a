package owners

import (
	"strconv"
	"strings"
)

// ParseCgroup reads the text of /proc/PID/cgroup, of cgroup v1, v2 or both. Each
// line is one hierarchy; the line that names the finest owner counts. Paths may be
// relative to another cgroup namespace (/../..): components speak for themselves.
func ParseCgroup(text string) Owner {
	best := Owner{Kind: User, UID: noUID}
	for line := range strings.Lines(strings.ToValidUTF8(text, "?")) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) < 3 {
			continue
		}
		if o := parsePath(strings.TrimSuffix(fields[2], " (deleted)")); o.rank() > best.rank() {
			best = o
		}
	}
	return best
}

// rank orders what lines say: the finer the better, of one kind the fuller.
func (o Owner) rank() int {
	full := 0
	if o.Step != "" || o.Container != "" || o.UID != noUID {
		full = 1
	}
	switch o.Kind {
	case Slurm:
		return 8 + full
	case Pod:
		return 6 + full
	case Container:
		return 4 + full
	case Unit:
		return 2 + full
	default:
		return full
	}
}

// A walk goes down a path and gathers what its components name.
type walk struct {
	Owner
	slurm bool   // below a directory of Slurm
	above string // the component before
}

func parsePath(path string) Owner {
	w := walk{Owner: Owner{UID: noUID}}
	for component := range strings.SplitSeq(path, "/") {
		w.step(component)
		w.above = component
	}
	return w.decide()
}

func (w *walk) step(c string) {
	w.slurmPart(c)
	if uid, ok := podUID(c); ok {
		w.Pod, w.Container, w.Runtime = uid, "", ""
	}
	if runtime, id, ok := containerID(c, w.above); ok && w.Container == "" {
		w.Runtime, w.Container = runtime, id // the outermost: what is inside is its own affair
	}
	w.unitPart(c)
}

// slurmPart knows /slurm/uid_1000/job_5/step_0/task_0 (v1, slurm_NODE with several
// slurmd on a machine) and slurmstepd.scope/job_5/step_0/user/task_0 (v2,
// NODE_slurmstepd.scope likewise).
func (w *walk) slurmPart(c string) {
	switch {
	case c == "slurm", strings.HasPrefix(c, "slurm_"), strings.HasSuffix(c, "slurmstepd.scope"):
		w.slurm = true
	case !w.slurm:
	case strings.HasPrefix(c, "uid_"):
		w.UID = number(c[len("uid_"):])
	case strings.HasPrefix(c, "job_") && isWord(c[len("job_"):]):
		w.Job, w.Step = c[len("job_"):], ""
	case strings.HasPrefix(c, "step_") && isWord(c[len("step_"):]) && w.Job != "":
		w.Step = c[len("step_"):]
	}
}

func (w *walk) unitPart(c string) {
	switch {
	case strings.HasPrefix(c, "user-") && strings.HasSuffix(c, ".slice"):
		if uid := number(c[len("user-") : len(c)-len(".slice")]); uid != noUID {
			w.UID = uid
		}
	case strings.HasPrefix(c, "user@") && strings.HasSuffix(c, ".service"):
		w.Unit = "" // the user's own systemd: what it starts is below
	case c == "init.scope", isLauncher(c):
		w.Unit = ""
	case strings.HasSuffix(c, ".service"), strings.HasSuffix(c, ".scope"):
		w.Unit = c
	}
}

// isLauncher tells units that run programs of other people, each its own affair.
func isLauncher(unit string) bool {
	name, isService := strings.CutSuffix(unit, ".service")
	if !isService {
		return strings.HasPrefix(unit, "session-") && strings.HasSuffix(unit, ".scope")
	}
	name, _, _ = strings.Cut(name, "@")
	switch name {
	case "ssh", "sshd", "cron", "crond", "atd", "slurmd", "getty", "serial-getty", "console-getty":
		return true
	}
	return false
}

// decide keeps what belongs to the finest kind that was named.
func (w *walk) decide() Owner {
	o := w.Owner
	switch {
	case o.Job != "":
		return Owner{Kind: Slurm, Job: o.Job, Step: o.Step, UID: o.UID}
	case o.Pod != "":
		return Owner{Kind: Pod, Pod: o.Pod, Container: o.Container, Runtime: o.Runtime, UID: noUID}
	case o.Container != "":
		return Owner{Kind: Container, Container: o.Container, Runtime: o.Runtime, UID: o.UID}
	case o.Unit != "":
		return Owner{Kind: Unit, Unit: o.Unit, UID: o.UID}
	default:
		return Owner{Kind: User, UID: o.UID}
	}
}

// podUID knows podUID (cgroupfs driver) and kubepods-burstable-podUID.slice
// (systemd driver; kubelet-kubepods-... in kind). The latter has underscores for
// dashes, and :RUNTIME:ID behind it where runtime and kubelet disagree on the
// driver. The UID of a static pod is a hash of 32 digits.
func podUID(c string) (string, bool) {
	name, _, _ := strings.Cut(c, ":")
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok {
		slice, isSlice := strings.CutSuffix(name, ".slice")
		at := strings.LastIndex(slice, "-pod")
		if !isSlice || at < 0 {
			return "", false
		}
		uid = strings.ReplaceAll(slice[at+len("-pod"):], "_", "-")
	}
	return uid, isUUID(uid) || len(uid) == 32 && isHex(uid)
}

// containerID knows the directories RUNTIME-ID.scope (systemd driver), RUNTIME-ID
// and ID (cgroupfs driver), SLICE:RUNTIME:ID, and those of LXC. The monitors of
// podman and CRI-O (conmon) are not in the container.
func containerID(c, above string) (runtime, id string, ok bool) {
	if name, isLXC := strings.CutPrefix(c, "lxc.payload."); isLXC {
		return "lxc", name, name != ""
	}
	if above == "lxc" || above == "lxc.payload" {
		return "lxc", c, c != ""
	}
	c = strings.TrimSuffix(c, ".scope")
	const digits = 64
	if len(c) < digits || !isHex(c[len(c)-digits:]) {
		return "", "", false
	}
	id, prefix := c[len(c)-digits:], c[:len(c)-digits]
	if prefix == "" {
		return runtimeName(above), id, true
	}
	name := prefix[:len(prefix)-1]
	switch prefix[len(prefix)-1] {
	case ':':
		name = name[strings.LastIndexByte(name, ':')+1:]
	case '-':
	default:
		return "", "", false
	}
	return runtimeName(name), id, !strings.HasSuffix(name, "-conmon")
}

// runtimeName gives the runtime behind the prefix or directory of its containers.
func runtimeName(prefix string) string {
	switch prefix {
	case "docker":
		return "docker"
	case "cri-containerd", "containerd", "nerdctl":
		return "containerd"
	case "crio":
		return "cri-o"
	case "libpod", "libpod-payload", "libpod_parent":
		return "podman"
	}
	return ""
}

// number reads a user id, -1 where it is none.
func number(s string) int {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return noUID
	}
	return int(n)
}

func isUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	return isHex(s[:8]) && isHex(s[9:13]) && isHex(s[14:18]) && isHex(s[19:23]) && isHex(s[24:])
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// isWord tells the ids of jobs and steps: letters, digits, and + before the part
// of a heterogeneous step.
func isWord(s string) bool {
	other := strings.IndexFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '+'
	})
	return s != "" && other < 0
}

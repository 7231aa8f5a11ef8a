package owners

import (
	"fmt"
	"strconv"

	"github.com/gpumeter/gpumeter/schemas"
)

// A reader reads from /proc what identifies a process.
type reader struct {
	proc   procfs
	clock  *bootClock
	names  *names
	rules  []labelRule
	wanted map[string]bool
	ignore map[string]bool // programs
	node   string
}

// identify finds out whose a process is. Everything is read anew, and the start
// once more at the end: a pid that was reused meanwhile is nobody's.
func (r *reader) identify(pid int) (*process, error) {
	k, s, err := r.proc.at(pid)
	if err != nil {
		return nil, err
	}
	if r.ignore[s.comm] {
		return &process{key: k, ignored: true}, nil
	}
	p := &process{key: k, born: r.clock.at(k.Start), root: k}
	owner, readable := r.proc.owner(pid)
	uid, ok := r.proc.uid(pid)
	if !ok && !readable {
		return nil, fmt.Errorf("process %d: neither its cgroup nor its user can be read", pid)
	}
	p.owner, p.uid = owner, uid
	root, rootStat, err := r.proc.ancestor(k, owner, uid)
	if err != nil {
		return nil, err
	}
	p.root, p.group = root, owner.group(uid)
	if owner.Kind == User {
		p.group = fmt.Sprintf("%s/%d-%d", p.group, root.Start, root.PID)
	}
	text, err := r.proc.readOf(pid, "environ")
	if err != nil {
		text = "" // another user's, to an agent without the right to read it
	}
	env := parseEnviron(text, r.wanted)
	p.grants = owner.Kind == Slurm || owner.Kind == Pod && env.granted()
	p.about = r.about(p, env, rootStat.comm)
	p.about.Command = r.proc.command(pid)
	if again, _, err := r.proc.at(pid); err != nil || again != k {
		return nil, errGone
	}
	return p, nil
}

// about is what an event says of who holds, beside when and what.
func (r *reader) about(p *process, env environ, comm string) schemas.Allocation {
	a := schemas.Allocation{ReqGPUs: -1, ReqWalltime: -1, HasLabels: true}
	kind := p.owner.Kind
	a.User = r.user(p, env)
	a.Name = env.first(nameVariables(kind)...)
	if kind == Pod && a.Name == r.node {
		a.Name = "" // the pod shares the node's network and name
	}
	if a.Name == "" {
		a.Name = fallbackName(p.owner, comm)
	}
	a.Namespace = env.first(namespaceVariables(kind)...)
	a.Image = maskText(env.first(imageVariables()...))
	a.Labels = sortedLabels(env.labels(r.rules, p.owner.labels()))
	return a
}

// user who asked for it. Inside pods and containers the user id is the image's
// choice, and that a person of this machine has the same number is chance: it is
// nobody unless a variable tells or the container runs below a user's own systemd.
func (r *reader) user(p *process, env environ) string {
	uid, told := p.uid, env.first(userVariables(p.owner.Kind)...)
	switch p.owner.Kind {
	case Pod, Container:
		if told != "" {
			return told
		}
		uid = p.owner.UID
	case Slurm:
		if p.owner.UID != noUID {
			uid = p.owner.UID
		}
	}
	if uid == noUID {
		return told
	}
	name := r.names.name(uid)
	if told != "" && name == strconv.Itoa(uid) { // this machine does not know the cluster's directory
		return told
	}
	return name
}

// fallbackName is what people call it where the environment gives no name.
func fallbackName(o Owner, comm string) string {
	const short = 12 // digits of a container id, as docker ps shows it
	switch o.Kind {
	case Slurm, Pod:
		return o.who(noUID)
	case Container:
		return o.Container[:min(len(o.Container), short)]
	case Unit:
		return o.Unit
	default:
		return clean(comm)
	}
}

package owners

import (
	"fmt"

	"github.com/gpumeter/gpumeter/schemas"
)

// minPerson is the least user id of people; below are those of the system.
const minPerson = 1000

// A reader reads from /proc what identifies a process.
type reader struct {
	proc   procfs
	clock  *bootClock
	names  *names
	rules  []labelRule
	wanted map[string]bool
	node   string
}

// identify finds out whose a process is. Everything is read anew, and the start
// once more at the end: a pid that was reused meanwhile is nobody's.
func (r *reader) identify(pid int) (*process, error) {
	k, _, err := r.proc.at(pid)
	if err != nil {
		return nil, err
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
// choice: nobody unless a variable tells, the container runs below a user's own
// systemd, or docker was told to run as a person of this machine.
func (r *reader) user(p *process, env environ) string {
	told := env.first(userVariables(p.owner.Kind)...)
	switch {
	case told != "":
		return told
	case p.owner.Kind == Pod:
		return ""
	case p.owner.UID != noUID && p.owner.Kind != Unit:
		return r.names.name(p.owner.UID)
	case p.owner.Kind == Container && p.uid < minPerson, p.uid == noUID:
		return ""
	default:
		return r.names.name(p.uid)
	}
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

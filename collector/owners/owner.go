package owners

import (
	"strconv"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Kind says what an allocation is. It is the first part of its id.
type Kind string

// Kinds of owners, the finest first.
const (
	Slurm     Kind = "slurm"     // a step of a Slurm job
	Pod       Kind = "pod"       // a Kubernetes pod
	Container Kind = "container" // a container that no pod has
	Unit      Kind = "unit"      // a systemd service or scope
	User      Kind = "user"      // a program of a user
)

// noUID says that no user is named.
const noUID = -1

// An Owner is what the cgroup of a process says of it. Fields that do not belong
// to its kind are empty.
type Owner struct {
	Kind      Kind
	Job       string // Slurm job id
	Step      string // Slurm step: a number, batch, extern, interactive; empty when the path ends at the job
	Pod       string // pod UID, with dashes
	Container string // container id
	Runtime   string // docker, containerd, cri-o, podman, lxc; empty when the path does not tell
	Unit      string // systemd unit
	UID       int    // user whose slice or Slurm directory it is in, -1 = none
}

// who is the owner's name in ids; uid is the user that the process runs as.
func (o Owner) who(uid int) string {
	switch o.Kind {
	case Slurm:
		if o.Step == "" {
			return o.Job
		}
		return o.Job + "." + o.Step
	case Pod:
		return o.Pod
	case Container:
		return o.Container
	case Unit:
		if o.UID != noUID {
			return strconv.Itoa(o.UID) + ":" + o.Unit
		}
		return o.Unit
	default:
		return strconv.Itoa(uid)
	}
}

// group is the same for the processes of one owner. Under one unit different
// users are different owners: a unit that runs as several serves them.
func (o Owner) group(uid int) string {
	group := string(o.Kind) + "/" + o.who(uid)
	if o.Kind == Unit {
		group += "/" + strconv.Itoa(uid)
	}
	return group
}

// labels are what the cgroup tells beside the owner's name, sorted by key.
func (o Owner) labels() []schemas.Label {
	var labels []schemas.Label
	add := func(key, value string) {
		if value != "" {
			labels = append(labels, schemas.Label{Key: key, Value: value})
		}
	}
	add("container_id", o.Container)
	add("container_runtime", o.Runtime)
	add("pod_uid", o.Pod)
	add("slurm_job_id", o.Job)
	add("slurm_step", o.Step)
	add("systemd_unit", o.Unit)
	return labels
}

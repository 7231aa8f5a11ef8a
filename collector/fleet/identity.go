package fleet

import (
	"fmt"

	"github.com/gpumeter/gpumeter/schemas"
)

// An identity is who runs what: the fingerprint of a job.
type identity struct {
	user, namespace, name, image string
	command                      []string
	labels                       []schemas.Label // sorted by key
}

type team struct {
	name, project string
	users         []string
}

func teams() []team {
	return []team{
		{"vision", "detector", []string{"ana", "bo", "chen"}},
		{"language", "assistant", []string{"dalia", "emeka", "farid", "grit"}},
		{"speech", "transcribe", []string{"hana", "ivo"}},
		{"robotics", "grasp", []string{"jun", "kofi"}},
		{"search", "ranker", []string{"lena", "mateo", "nils"}},
		{"climate", "downscale", []string{"oksana", "priya"}},
	}
}

// tags attribute by namespace; interns of all teams have a cost center of their
// own.
func tags(from int64) []schemas.Tag {
	all := make([]schemas.Tag, 0, len(teams())+1)
	for _, t := range teams() {
		all = append(all, schemas.Tag{Match: "namespace=" + t.name, Set: "team=" + t.name + ";project=" + t.project, From: from})
	}
	return append(all, schemas.Tag{Match: "user=*-intern", Set: "cost_center=education", From: from, Priority: 1})
}

// identify draws who runs a job of class c with n GPUs.
func identify(d dice, c Class, n int) identity {
	t := pick(d, teams())
	who := identity{user: pick(d, t.users), namespace: t.name}
	if d.one(8) {
		who.user += "-intern"
	}
	version, data := d.IntN(40), d.IntN(9)
	who.image = fmt.Sprintf("registry.example/%s/train:2026.%d", t.project, version)
	switch c {
	case Notebook, KeepAlive:
		who.name = "notebook-" + who.user
		who.image = fmt.Sprintf("registry.example/jupyter:2026.%d", version)
		who.command = []string{"jupyter", "lab", "--no-browser"}
		if c == KeepAlive {
			who.command = []string{"python", "hold.py", "--every", "10m"}
		}
	case Inference, LowInference:
		who.name = fmt.Sprintf("%s-serve-%d", t.project, data)
		who.image = fmt.Sprintf("registry.example/%s/serve:2026.%d", t.project, version)
		who.command = []string{"serve", "--model", fmt.Sprintf("%s-v%d", t.project, version), "--tensor-parallel", fmt.Sprint(n)}
	default:
		who.name = fmt.Sprintf("%s-%s-%d", t.project, c.phaseLabel(), data)
		who.command = []string{"python", "train.py", "--data", fmt.Sprintf("s3://%s/shard-%d", t.name, data), "--gpus", fmt.Sprint(n), "--lr", fmt.Sprintf("%de-5", 1+d.IntN(50)), "--seed", fmt.Sprint(d.IntN(1000))}
	}
	who.labels = []schemas.Label{{Key: "phase", Value: c.phaseLabel()}}
	return who
}

// next is the identity of the k-th run of a sweep: one learning rate another.
func (w identity) next(k int) identity {
	w.name = fmt.Sprintf("%s-sweep", w.name)
	w.command = append([]string(nil), w.command...)
	for i, arg := range w.command {
		if arg == "--lr" {
			w.command[i+1] = fmt.Sprintf("%de-5", 1+k)
		}
	}
	w.labels = append(append([]schemas.Label(nil), w.labels...), schemas.Label{Key: "sweep", Value: w.namespace + "/" + w.name})
	return w
}

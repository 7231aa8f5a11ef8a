package fleet

import (
	"cmp"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/collector/source"
	"github.com/gpumeter/gpumeter/schemas"
)

// turn does what a slot has to do now: its job starts, changes or ends.
func (f *Fleet) turn(s *slot, to source.Sink) error {
	j := s.job
	switch {
	case !s.since:
		s.since, s.next = true, j.end
		if j.update > 0 {
			s.next = j.start + j.update
		}
		f.seat(j)
		return to.Allocation(f.started(j))
	case s.next < j.end:
		s.next = j.end
		return to.Allocation(f.updated(j))
	default:
		f.unseat(j)
		f.ended = append(f.ended, f.truth(j, j.end))
		f.plan(s, j.end)
		return to.Allocation(schemas.Allocation{TS: f.start + j.end, Event: schemas.EventEnd, Allocation: j.id, State: j.state, ReqGPUs: -1, ReqWalltime: -1})
	}
}

// started is the event with which a job takes its GPUs.
func (f *Fleet) started(j *job) schemas.Allocation {
	a := schemas.Allocation{
		TS: f.start + j.start, Event: schemas.EventStart, Allocation: j.id, HasGPUs: true, User: j.who.user, Name: j.who.name,
		Namespace: j.who.namespace, Image: j.who.image, Command: j.who.command, HasLabels: true, Labels: j.who.labels,
		ReqGPUs: int64(len(j.seats)), ReqWalltime: j.asked.walltime, SubmittedAt: f.start + j.asked.submitted,
	}
	for _, s := range j.seats {
		ref := schemas.GPURef{Node: s.gpu.node.name, GPU: s.gpu.id, Share: s.share}
		if s.slice != nil {
			ref.Slice = s.slice.id
		}
		a.GPUs = append(a.GPUs, ref)
	}
	slices.SortFunc(a.GPUs, func(x, y schemas.GPURef) int {
		return cmp.Or(strings.Compare(x.Node, y.Node), strings.Compare(x.GPU, y.GPU), strings.Compare(x.Slice, y.Slice))
	})
	return a
}

// updated is the event with which the owner of a job labels it anew.
func (f *Fleet) updated(j *job) schemas.Allocation {
	return schemas.Allocation{
		TS: f.start + j.start + j.update, Event: schemas.EventUpdate, Allocation: j.id, HasLabels: true,
		Labels: append(append([]schemas.Label(nil), j.who.labels...), schemas.Label{Key: "stage", Value: "second-half"}), ReqGPUs: -1, ReqWalltime: -1,
	}
}

// seat gives a job its GPUs.
func (f *Fleet) seat(j *job) {
	for n, s := range j.seats {
		h := hold{job: j, n: n, pid: 2000 + int64(mix(uint64(j.start), uint64(s.gpu.index), uint64(n))%4_000_000)}
		if s.slice != nil {
			h.slice = s.slice.id
		}
		s.gpu.holders = append(s.gpu.holders, h)
		if s.gpu.node.shared {
			s.gpu.history = append(s.gpu.history, j)
		}
	}
}

// unseat takes them back. Who shared a GPU with it is remembered while somebody
// holds it who was there then.
func (f *Fleet) unseat(j *job) {
	for _, s := range j.seats {
		s.gpu.holders = slices.DeleteFunc(s.gpu.holders, func(h hold) bool { return h.job == j })
		earliest := j.start // the truth of j is still to be told
		for _, h := range s.gpu.holders {
			earliest = min(earliest, h.job.start)
		}
		s.gpu.history = slices.DeleteFunc(s.gpu.history, func(k *job) bool { return k.end <= earliest })
	}
}

// neighbours are the jobs whose work the samples of a seat show together with
// j's: those that share the device. An instance is measured by itself.
func (f *Fleet) neighbours(j *job, s seat) []*job {
	if !s.gpu.node.shared || s.slice != nil {
		return []*job{j}
	}
	return s.gpu.history
}

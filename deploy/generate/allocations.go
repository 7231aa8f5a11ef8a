package generate

import (
	"fmt"
	"strings"
)

// writeAllocations makes jobs that start in order of time.
func (o *Options) writeAllocations(out *writer) {
	d := newDice(o, 5)
	places := o.places()
	jobs := int64(o.jobs())
	for i := range jobs {
		// Starts are spread over the run, and a little before it.
		at := o.Start - minute + (o.Duration+minute)*i/jobs
		if d.IntN(3) == 0 {
			at = d.near(at)
		}
		o.writeJob(d, out, places, fmt.Sprintf("%s%d", pick(d, "slurm/c/", "k8s/ns/", ""), i), at)
	}
	if d.chance(Orphans, 100) {
		out.line(d, o.event(d, d.instant(), "end", "orphan").end())
		out.line(d, o.event(d, d.instant(), "update", "orphan").raw("gpus", o.gpus(d, places)).end())
		out.line(d, o.event(d, o.Start, "start", "lost").raw("gpus", `[{"node":"n0","gpu":"GPU-none"}]`).end())
	}
	if d.chance(BadLines, 100) {
		out.line(d, []byte(`{"ts":1780275600000,"event":"start","allocation":"bad","gpus":[{"node":"n0","gpu":"GPU-0-0","share":1.5}]}`+"\n"))
		out.line(d, []byte(`{"ts":1780275600000,"event":"pause","allocation":"bad"}`+"\n"))
		out.line(d, []byte(`{"ts":"1970-01-01T00:00:00Z","event":"start","allocation":"bad","gpus":[{"node":"n0","gpu":"GPU-0-0"}]}`+"\n"))
		out.line(d, []byte(`{"ts":4102444800000,"event":"end","allocation":"slurm/c/0"}`+"\n"))
	}
}

func (o *Options) event(d dice, ts int64, kind, id string) *line {
	return (&line{}).time(d, "ts", ts).text("event", kind).text("allocation", id)
}

func (o *Options) writeJob(d dice, out *writer, places []place, id string, from int64) {
	to := from + d.between(1, 2*o.averageJob())
	start := o.event(d, from, "start", id).raw("gpus", o.gpus(d, places)).
		text("user", pick(d, "ann", "bob", "zoë", "")).text("name", pick(d, "train-1", "eval", "")).text("image", pick(d, "repo:v1", ""))
	if d.chance(Labels, 60) {
		start.raw("labels", jobLabels(d))
	}
	out.line(d, start.end())
	for d.chance(Updates, 40) {
		update := o.event(d, pick(d, from, d.between(from, to+1), d.near(to)), "update", id)
		if d.IntN(2) == 0 {
			update.raw("gpus", pick(d, "[]", o.gpus(d, places), o.gpus(d, places)))
		}
		if d.chance(Labels, 60) {
			update.raw("labels", jobLabels(d))
		}
		out.line(d, update.end())
	}
	if d.chance(Requeues, 15) {
		again := from + d.between(-minute, 3*o.averageJob())
		out.line(d, o.event(d, again, "start", id).raw("gpus", o.gpus(d, places)).text("user", pick(d, "ann", "zoe")).end())
		out.line(d, o.event(d, again+d.between(-minute, o.averageJob()), "end", id).text("state", "failed").end())
	}
	if d.chance(Repeats, 10) {
		out.line(d, o.event(d, from, "start", id).raw("gpus", o.gpus(d, places)).end())
	}
	if d.IntN(20) > 0 || to < o.Start+o.Duration/2 { // else it is open
		out.line(d, o.event(d, to, "end", id).text("state", pick(d, "completed", "failed", "cancelled")).end())
	}
}

func jobLabels(d dice) string {
	return pick(d, `{}`, `{"team":"red"}`, `{"team":"blue","stage":"Test"}`, `{"phase":"train","rank":3,"x":null}`, `{"project":"p9","team":"re"}`)
}

// gpus names what a job holds: a few neighbours, whole or in part.
func (o *Options) gpus(d dice, places []place) string {
	n := min(len(places), pick(d, 1, 1, 1, 2, o.GPUsPerNode))
	first := d.IntN(len(places) - n + 1)
	var refs []string
	for _, p := range places[first : first+n] {
		l := (&line{}).text("node", p.node).text("gpu", p.gpu)
		switch {
		case len(p.slices) > 0 && d.IntN(4) > 0:
			l.text("slice", pick(d, p.slices...)).raw("share", pick(d, "0.142857", "0.285714", "0.428571", "0.5"))
		case d.chance(Shares, 40):
			l.raw("share", pick(d, "0.25", "0.3333335", "0.7", "1", "0.0000005", "0.5", "1e-1"))
		}
		refs = append(refs, strings.TrimSuffix(string(l.end()), "\n"))
		if d.chance(Repeats, 5) {
			refs = append(refs, fmt.Sprintf(`{"node":%q,"gpu":%q,"share":0.125}`, p.node, p.gpu))
		}
	}
	return "[" + strings.Join(refs, ",") + "]"
}

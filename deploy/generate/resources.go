package generate

import (
	"fmt"
	"strings"
)

// A place is a GPU of a node, and the slices of it that can be held.
type place struct {
	node, gpu string
	slices    []string // none: held whole
}

func (o *Options) places() []place {
	d := newDice(o, 1)
	all := make([]place, 0, o.Nodes*o.GPUsPerNode)
	for n := range o.Nodes {
		for g := range o.GPUsPerNode {
			p := place{node: nodeName(n), gpu: gpuName(n, g)}
			if d.chance(Slices, 40) {
				p.slices = []string{"m0", "m1", "m2"}
			}
			all = append(all, p)
		}
	}
	return all
}

func nodeName(n int) string   { return fmt.Sprintf("n%d", n) }
func gpuName(n, g int) string { return fmt.Sprintf("GPU-%d-%d", n, g) }

// A market is where a resource comes from and what it is paid in.
type market struct{ provider, region, sku, category, currency string }

func markets() []market {
	return []market{
		{"aws", "us-east-1", "p5.48xlarge", "on_demand", "USD"},
		{"owned", "", "dgx", "owned", "EUR"},
		{"gcp", "europe-west4", "a3-highgpu-8g", "spot", "EUR"},
	}
}

// A record is one line of resources.ndjson in the making.
type record struct {
	node, id, model string
	market          market
	gpus            []string
	from, to        int64 // ms; to is 0 while it is open
	scheduler       bool
	idleWatts       string
}

func (r *record) line(d dice) []byte {
	l := (&line{}).text("node", r.node).text("resource", r.id).text("provider", r.market.provider).text("sku", r.market.sku)
	if r.market.region != "" {
		l.text("region", r.market.region)
	}
	if r.market.category != "on_demand" || d.IntN(2) == 0 {
		l.text("pricing_category", r.market.category)
	}
	if r.model != "" {
		l.text("gpu_model", r.model).text("cluster", "east")
	}
	ids := make([]string, 0, len(r.gpus))
	for _, g := range r.gpus {
		ids = append(ids, quote(g))
	}
	d.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	l.raw("gpus", "["+strings.Join(ids, ",")+"]").time(d, "from", r.from)
	if r.to != 0 {
		l.time(d, "to", r.to)
	}
	if r.scheduler {
		l.raw("scheduler", "true")
	}
	if r.idleWatts != "" {
		l.raw("idle_watts", r.idleWatts)
	}
	return l.end()
}

// writeResources gives every node a resource, and its oddities.
func (o *Options) writeResources(out *writer) {
	d := newDice(o, 2)
	for n := range o.Nodes {
		r := record{
			node: nodeName(n), id: fmt.Sprintf("r%d", n), market: markets()[n%3],
			from: o.Start, scheduler: !d.chance(Unscheduled, 50), model: pick(d, "", "H100", "A100"),
			idleWatts: pick(d, "", "60", "75.5"),
		}
		for g := range o.GPUsPerNode {
			r.gpus = append(r.gpus, gpuName(n, g))
		}
		if d.chance(Replacements, 30) {
			r.from = d.instant() // after its first samples
		}
		if d.chance(Replacements, 30) {
			r.to = d.instant()
		}
		out.line(d, r.line(d))
		o.writeOddRecords(d, out, r)
	}
	if d.chance(BadLines, 60) {
		out.line(d, []byte(`{"node":"n0","resource":"bad","provider":"aws","gpus":[],"from":1780275600000}`+"\n"))
		out.line(d, []byte(`{"node":"n0","resource":"bad","provider":"aws","gpus":["GPU-0-0"],"from":1780275600000,"pricing_category":"free"}`+"\n"))
	}
}

func (o *Options) writeOddRecords(d dice, out *writer, r record) {
	if d.chance(Repeats, 30) { // the same key, another end or another text
		twin := r
		twin.to, twin.model = pick(d, 0, d.instant()), pick(d, "", "H100", "Z9")
		out.line(d, twin.line(d))
	}
	if d.chance(Replacements, 40) { // another record of the same resource
		next := r
		next.from, next.to = d.instant(), 0
		next.gpus = r.gpus[:1+d.IntN(len(r.gpus))]
		out.line(d, next.line(d))
	}
	if d.chance(Replacements, 30) { // another resource takes over
		next := r
		next.id, next.from, next.market = r.id+"b", d.instant(), pick(d, markets()...)
		next.to = next.from + d.between(-minute, o.Duration)
		out.line(d, next.line(d))
	}
	for d.chance(Overlaps, 40) {
		other := r
		other.id, other.from = pick(d, "q", "s", "t")+r.id, pick(d, r.from, d.instant())
		other.to = other.from + d.between(1, o.Duration)
		other.scheduler = !d.chance(Unscheduled, 50)
		other.gpus = r.gpus[d.IntN(len(r.gpus)):]
		out.line(d, other.line(d))
	}
}

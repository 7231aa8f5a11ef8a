package record

import (
	"strconv"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

func (l *line) sample(s *contract.Sample) {
	l.begin()
	l.number("ts", s.TS)
	l.text("node", s.Node)
	l.text("gpu", s.GPU)
	l.text("slice", s.Slice)
	l.text("gpu_model", s.Model)
	if s.Interval != 0 {
		l.scaled("interval_seconds", int64(s.Interval), 3)
	}
	l.fraction("utilization", s.Utilization)
	l.fraction("sm_active", s.SMActive)
	l.fraction("tensor_active", s.TensorActive)
	l.fraction("dram_active", s.DRAMActive)
	l.amount("memory_used_bytes", s.MemoryUsed)
	l.amount("memory_total_bytes", s.MemoryTotal)
	l.watts("power_watts", s.Power)
	l.amount("energy_joules", s.Energy)
	if s.Temperature != schemas.Absent16 {
		l.number("temperature_celsius", int64(s.Temperature))
	}
	l.end()
}

func (l *line) process(p *schemas.Process) {
	l.begin()
	l.number("ts", p.TS)
	l.text("node", p.Node)
	l.text("gpu", p.GPU)
	l.text("slice", p.Slice)
	l.number("pid", p.PID)
	l.text("allocation", p.Allocation)
	l.fraction("sm_utilization", p.SMUtilization)
	l.amount("memory_used_bytes", p.MemoryUsed)
	l.end()
}

func (l *line) allocation(a *schemas.Allocation) {
	l.begin()
	l.number("ts", a.TS)
	l.text("event", a.Event)
	l.text("allocation", a.Allocation)
	if a.HasGPUs {
		l.list("gpus", len(a.GPUs), func(i int) { l.gpu(&a.GPUs[i]) })
	}
	l.text("user", a.User)
	l.text("name", a.Name)
	l.text("namespace", a.Namespace)
	l.text("image", a.Image)
	if len(a.Command) > 0 {
		l.list("command", len(a.Command), func(i int) { l.quoted(a.Command[i]) })
	}
	if a.HasLabels {
		l.labels(a.Labels)
	}
	if a.ReqGPUs >= 0 || a.ReqWalltime >= 0 {
		l.key("requested")
		l.begin()
		l.asked("gpus", a.ReqGPUs)
		l.asked("walltime_seconds", a.ReqWalltime)
		l.end()
	}
	l.instant("submitted_at", a.SubmittedAt)
	l.text("state", a.State)
	l.end()
}

func (l *line) gpu(g *schemas.GPURef) {
	l.begin()
	l.text("node", g.Node)
	l.text("gpu", g.GPU)
	l.text("slice", g.Slice)
	if g.Share != 0 {
		l.scaled("share", int64(g.Share), 6)
	}
	l.end()
}

func (l *line) labels(labels []schemas.Label) {
	l.key("labels")
	l.begin()
	for i, label := range labels {
		if i > 0 {
			*l = append(*l, ',')
		}
		l.quoted(label.Key) // any text, unlike the names of fields
		*l = append(*l, ':')
		l.quoted(label.Value)
	}
	l.end()
}

func (l *line) resource(r *schemas.Resource) {
	l.begin()
	l.text("node", r.Node)
	l.text("resource", r.Resource)
	l.text("cluster", r.Cluster)
	l.text("provider", r.Provider)
	l.text("region", r.Region)
	l.text("sku", r.SKU)
	l.text("gpu_model", r.Model)
	l.list("gpus", len(r.GPUs), func(i int) { l.quoted(r.GPUs[i]) })
	l.number("from", r.From)
	l.instant("to", r.To)
	l.text("pricing_category", r.PricingCategory)
	l.key("scheduler")
	*l = strconv.AppendBool(*l, r.Scheduler)
	l.watts("idle_watts", r.IdleWatts)
	l.end()
}

// priceHeader and price are the columns of prices.csv.
func priceHeader() []string {
	return []string{"provider", "region", "sku", "pricing_category", "currency", "price_per_hour", "effective_from", "effective_to", "known_at"}
}

func price(p *schemas.Price) []string {
	return []string{p.Provider, p.Region, p.SKU, p.PricingCategory, p.Currency, decimal(p.PerHour, 9), whole(p.From), cell(p.To), cell(p.KnownAt)}
}

// tagHeader and tag are the columns of tags.csv.
func tagHeader() []string {
	return []string{"match", "set", "effective_from", "effective_to", "priority"}
}

func tag(t *schemas.Tag) []string {
	return []string{t.Match, t.Set, whole(t.From), cell(t.To), whole(t.Priority)}
}

// cell is an instant in a table, empty when it is not given.
func cell(ms int64) string {
	if ms == 0 {
		return ""
	}
	return whole(ms)
}

func whole(n int64) string { return strconv.FormatInt(n, 10) }

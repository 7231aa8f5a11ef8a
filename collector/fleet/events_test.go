package fleet

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// fraction writes an integer of the wire as a decimal of the input contract; nil
// where it was not reported.
func fraction(v uint32, unit int) any {
	if v == schemas.Absent32 {
		return nil
	}
	return json.Number(fmt.Sprintf("%d.%0*d", int(v)/unit, len(fmt.Sprint(unit))-1, int(v)%unit))
}

func given(v uint64) any {
	if v == schemas.Absent64 {
		return nil
	}
	return v
}

func line(t *testing.T, fields map[string]any) []byte {
	t.Helper()
	b, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEventsAreOfTheContract: what the fleet hands over is what a reader of the
// input contract would make of the same events in files.
func TestEventsAreOfTheContract(t *testing.T) {
	var p contract.Parser
	f, r := make1(t, configure(7, 64)), &tape{}
	r.sample = func(s *contract.Sample) {
		if r.samples%53 != 0 {
			return
		}
		var got contract.Sample
		fields := map[string]any{
			"ts": s.TS, "node": s.Node, "gpu": s.GPU, "slice": s.Slice, "gpu_model": s.Model, "interval_seconds": s.Interval / 1000,
			"utilization": fraction(s.Utilization, 1e6), "sm_active": fraction(s.SMActive, 1e6),
			"tensor_active": fraction(s.TensorActive, 1e6), "dram_active": fraction(s.DRAMActive, 1e6),
			"memory_used_bytes": given(s.MemoryUsed), "memory_total_bytes": given(s.MemoryTotal), "energy_joules": given(s.Energy),
			"power_watts": fraction(s.Power, 1e3), "temperature_celsius": s.Temperature,
		}
		if s.Temperature == schemas.Absent16 {
			fields["temperature_celsius"] = nil
		}
		if err := p.Sample(line(t, fields), &got); err != nil || got != *s {
			t.Fatalf("read %+v (%v)\nwant %+v", got, err, *s)
		}
	}
	if err := f.Step(f.Start()+6*hour, r); err != nil {
		t.Fatal(err)
	}
	for i := range r.allocations {
		checkAllocation(t, &p, &r.allocations[i])
	}
	for i := range r.resources {
		checkResource(t, &p, &r.resources[i])
	}
	checkTables(t, r)
	if r.samples < 6*360*64*9/10 || len(r.allocations) < 100 || len(r.processes) < 1000 {
		t.Errorf("%d samples, %d allocation events, %d processes in six hours", r.samples, len(r.allocations), len(r.processes))
	}
}

func checkAllocation(t *testing.T, p *contract.Parser, a *schemas.Allocation) {
	t.Helper()
	fields := map[string]any{"ts": a.TS, "event": a.Event, "allocation": a.Allocation, "user": a.User, "name": a.Name, "namespace": a.Namespace, "image": a.Image, "state": a.State}
	if a.HasGPUs {
		var gpus []map[string]any
		for _, g := range a.GPUs {
			ref := map[string]any{"node": g.Node, "gpu": g.GPU, "slice": g.Slice}
			if g.Share != 0 {
				ref["share"] = fraction(uint32(g.Share), 1e6)
			}
			gpus = append(gpus, ref)
		}
		fields["gpus"] = gpus
	}
	if a.HasLabels {
		labels := map[string]string{}
		for _, l := range a.Labels {
			labels[l.Key] = l.Value
		}
		fields["labels"] = labels
	}
	if a.Command != nil {
		fields["command"] = a.Command
	}
	if a.ReqGPUs >= 0 {
		fields["requested"] = map[string]any{"gpus": a.ReqGPUs, "walltime_seconds": a.ReqWalltime}
	}
	if a.SubmittedAt != 0 {
		fields["submitted_at"] = a.SubmittedAt
	}
	var got schemas.Allocation
	if err := p.Allocation(line(t, fields), &got); err != nil || !reflect.DeepEqual(got, *a) {
		t.Fatalf("read %+v (%v)\nwant %+v", got, err, *a)
	}
}

func checkResource(t *testing.T, p *contract.Parser, r *schemas.Resource) {
	t.Helper()
	var got schemas.Resource
	err := p.Resource(line(t, map[string]any{
		"node": r.Node, "resource": r.Resource, "cluster": r.Cluster, "provider": r.Provider, "region": r.Region, "sku": r.SKU, "gpu_model": r.Model,
		"gpus": r.GPUs, "from": r.From, "pricing_category": r.PricingCategory, "scheduler": r.Scheduler, "idle_watts": fraction(r.IdleWatts, 1e3),
	}), &got)
	if err != nil || !reflect.DeepEqual(got, *r) {
		t.Fatalf("read %+v (%v)\nwant %+v", got, err, *r)
	}
}

// checkTables: every resource has exactly one price, in force, and the rules match
// the teams.
func checkTables(t *testing.T, r *tape) {
	t.Helper()
	for _, x := range r.resources {
		n := 0
		for _, p := range r.prices {
			if p.Provider == x.Provider && p.Region == x.Region && p.SKU == x.SKU && p.PricingCategory == x.PricingCategory && p.From <= x.From && p.PerHour > 0 && p.Currency == "USD" {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d prices for %+v", n, x)
		}
	}
	table, err := contract.NewTable(schemas.StreamTags, []byte("match,set,effective_from,priority"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range r.tags {
		var got schemas.Tag
		if err := table.Tag(fmt.Appendf(nil, "%s,%s,%d,%d", want.Match, want.Set, want.From, want.Priority), &got); err != nil || got != want {
			t.Errorf("read %+v (%v), want %+v", got, err, want)
		}
	}
}

func TestCatalog(t *testing.T) {
	seen := map[string]bool{}
	for _, o := range catalog() {
		key := o.provider + o.region + o.sku
		if seen[key] {
			t.Errorf("%s is there twice", o.sku)
		}
		seen[key] = true
		p, err := o.price(at)
		if err != nil {
			t.Error(err)
		}
		if perGPU := p.PerHour / perNode; perGPU < 5e8 || perGPU > 15e9 || p.From != at {
			t.Errorf("%+v: half a dollar to fifteen an hour of a GPU are on public lists, in force from the fleet's start", p)
		}
		if later, _ := o.price(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()); time.UnixMilli(later.From).UTC().Format(time.DateOnly) != o.date {
			t.Errorf("%+v is not in force from the day of its list, %s", later, o.date)
		}
		if idle := 1.55 * o.gpu.idle * milli; idle > float64(o.gpu.threshold) || o.gpu.watts*0.4*milli < float64(o.gpu.threshold) {
			t.Errorf("%s: a threshold of %d mW is not between rest and work", o.gpu.name, o.gpu.threshold)
		}
	}
	bad := offer{date: "yesterday"}
	if _, err := bad.price(at); err == nil {
		t.Error("a price of yesterday has a date")
	}
}

package engine_test

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A world is a few minutes of a few GPUs around a full hour, drawn at random, with
// everything that makes rules meet: overlapping resources, shares, slices, gaps,
// price conflicts, tags that change, events that contradict each other.
const (
	worldStart = 1_780_279_200_000 - 150_000
	worldLen   = 420_000
)

func drawWorld(t *rapid.T) *input {
	in := &input{horizon: worldStart + worldLen}
	n := func(name string, least, most int) int { return rapid.IntRange(least, most).Draw(t, name) }
	if rapid.IntRange(0, 3).Draw(t, "ledger.from") == 0 {
		in.from = drawTime(t, "ledger from")
	}
	for range n("resources", 1, 4) {
		in.resources = append(in.resources, drawResource(t))
	}
	for range n("prices", 0, 5) {
		in.prices = append(in.prices, drawPrice(t))
	}
	for range n("tags", 0, 3) {
		in.tags = append(in.tags, drawTag(t))
	}
	for range n("allocations", 0, 8) {
		in.allocations = append(in.allocations, drawAllocation(t))
	}
	for range n("series", 0, 4) {
		in.samples = append(in.samples, drawSeries(t)...)
	}
	return in
}

// drawTime is an instant of the world, mostly on a grid so that instants meet.
func drawTime(t *rapid.T, name string) int64 {
	grid := rapid.Map(rapid.Int64Range(0, worldLen/15_000), func(k int64) int64 { return k * 15_000 })
	return worldStart + rapid.OneOf(grid, rapid.Int64Range(0, worldLen+20_000)).Draw(t, name)
}

// drawEnd is 0 for open, or an instant.
func drawEnd(t *rapid.T, name string) int64 {
	if rapid.Bool().Draw(t, name+" open") {
		return 0
	}
	return drawTime(t, name)
}

func drawNode(t *rapid.T) string {
	return rapid.SampledFrom([]string{"n1", "n1", "n2"}).Draw(t, "node")
}

func drawGPU(t *rapid.T) string { return rapid.SampledFrom([]string{"g0", "g0", "g1"}).Draw(t, "gpu") }

func drawSlice(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", "m1"}).Draw(t, "slice")
}

func drawText(t *rapid.T, name string, of ...string) string {
	return rapid.SampledFrom(of).Draw(t, name)
}

func drawResource(t *rapid.T) schemas.Resource {
	return schemas.Resource{
		Node: drawNode(t), Resource: drawText(t, "resource", "r1", "r1", "r2"), Cluster: "c", Provider: "p", SKU: drawText(t, "sku", "x", "y"),
		Model: drawText(t, "model", "", "H100"), GPUs: rapid.SampledFrom([][]string{{"g0"}, {"g0", "g1"}, {"g1"}, {"g0", "g1", "g2"}}).Draw(t, "gpus"),
		From: drawTime(t, "from"), To: drawEnd(t, "to"), PricingCategory: "owned", Scheduler: rapid.Bool().Draw(t, "scheduler"),
		IdleWatts: rapid.SampledFrom([]uint32{schemas.Absent32, 80_000}).Draw(t, "idle watts"),
	}
}

func drawPrice(t *rapid.T) schemas.Price {
	from := rapid.OneOf(rapid.Just(int64(worldStart-1)), rapid.Just(int64(worldStart+60_000)), rapid.Int64Range(worldStart-60_000, worldStart+worldLen)).Draw(t, "from")
	return schemas.Price{
		Provider: "p", SKU: drawText(t, "sku", "x", "x", "y"), PricingCategory: "owned", Currency: drawText(t, "currency", "USD", "USD", "EUR"),
		PerHour: rapid.SampledFrom([]int64{0, 10, 3_600_000_000, 16_800_000_007}).Draw(t, "price"), From: from, To: drawEnd(t, "to"),
		KnownAt: rapid.SampledFrom([]int64{0, worldStart, worldStart + 1}).Draw(t, "known"),
	}
}

func drawTag(t *rapid.T) schemas.Tag {
	return schemas.Tag{
		Match: drawText(t, "match", "allocation=*", "allocation=a", "label.team=blue", "user=u*;node=n1", "resource=r1", "gpu_model=H?00"),
		Set:   drawText(t, "set", "team=green", "team=grey;project=p", "phase="), From: drawTime(t, "from"), To: drawEnd(t, "to"),
		Priority: rapid.Int64Range(-1, 1).Draw(t, "priority"),
	}
}

func drawAllocation(t *rapid.T) schemas.Allocation {
	a := schemas.Allocation{
		TS: drawTime(t, "ts"), Event: drawText(t, "event", schemas.EventStart, schemas.EventStart, schemas.EventUpdate, schemas.EventEnd),
		Allocation: drawText(t, "allocation", "a", "b", "c"), User: drawText(t, "user", "", "u1", "v"), ReqGPUs: -1, ReqWalltime: -1,
	}
	if a.HasGPUs = a.Event == schemas.EventStart || rapid.Bool().Draw(t, "has gpus"); a.HasGPUs {
		for range rapid.IntRange(0, 2).Draw(t, "gpus") {
			a.GPUs = append(a.GPUs, drawRef(t))
		}
		sortRefs(a.GPUs)
	}
	if a.HasLabels = rapid.Bool().Draw(t, "has labels"); a.HasLabels {
		if team := drawText(t, "team", "", "blue", "red"); team != "" {
			a.Labels = []schemas.Label{{Key: "team", Value: team}}
		}
	}
	return a
}

func drawRef(t *rapid.T) schemas.GPURef {
	ref := schemas.GPURef{Node: drawNode(t), GPU: drawGPU(t), Slice: drawSlice(t)}
	shares := []int32{0, 0, 250_000, 333_333, 900_000, 1_000_000, 1}
	if ref.Slice != "" {
		shares = shares[2:]
	}
	ref.Share = rapid.SampledFrom(shares).Draw(t, "share")
	return ref
}

func sortRefs(refs []schemas.GPURef) {
	for i := range refs {
		for j := i; j > 0 && fmt.Sprintf("%+v", refs[j]) < fmt.Sprintf("%+v", refs[j-1]); j-- {
			refs[j], refs[j-1] = refs[j-1], refs[j]
		}
	}
}

// drawSeries is samples of one GPU with a cadence of its own, gaps, repeats of an
// instant with other values, and a counter that sometimes falls.
func drawSeries(t *rapid.T) []*schemas.Samples {
	row := contract.Sample{Node: drawNode(t)}
	row.Series = schemas.Series{GPU: drawGPU(t), Slice: drawSlice(t), Interval: rapid.SampledFrom([]uint32{0, 1, 5_000, 15_000, 60_000}).Draw(t, "interval"), MemoryTotal: 80 << 30}
	row.DRAMActive, row.Temperature = schemas.Absent32, 40
	ts, joules := drawTime(t, "first"), uint64(1_000)
	var all []*schemas.Samples
	for range rapid.IntRange(1, 30).Draw(t, "samples") {
		row.TS = ts
		drawReadings(t, &row, joules)
		var b contract.Batch
		b.Add(&row)
		all = append(all, &b.Samples)
		ts += rapid.SampledFrom([]int64{0, 1, 5_000, 15_000, 15_000, 15_000, 70_000}).Draw(t, "step")
		joules += rapid.Uint64Range(0, 3_000).Draw(t, "joules")
	}
	return all
}

func drawReadings(t *rapid.T, row *contract.Sample, joules uint64) {
	ppm := func(name string) uint32 {
		return rapid.SampledFrom([]uint32{schemas.Absent32, 0, 10_000, 10_001, 500_000, 1_000_000}).Draw(t, name)
	}
	row.Utilization, row.SMActive, row.TensorActive = ppm("utilization"), ppm("sm_active"), schemas.Absent32
	row.MemoryUsed = rapid.SampledFrom([]uint64{schemas.Absent64, 0, 1<<30 - 1, 1 << 30}).Draw(t, "memory")
	row.Power = rapid.SampledFrom([]uint32{schemas.Absent32, 60_000, 90_000}).Draw(t, "power")
	row.Energy = rapid.SampledFrom([]uint64{schemas.Absent64, joules, joules, 7}).Draw(t, "energy")
}

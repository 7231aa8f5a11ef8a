package meter

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// rules are the real engine's, as a processor has them by default.
func rules() engine.Config {
	return engine.Config{
		Window: 60_000, Grace: 30_000, EarlyEvery: 10_000, KeepSamples: 45 * 86_400_000, Epsilon: 10_000, IdleMemory: 1 << 30,
	}
}

// fleetEnd is where the time of a fleet ends.
const fleetEnd = t0 + 600_000

// A fleet is ten minutes of eight nodes with two GPUs each, of which the second
// half arrives after the first was published: samples that fill gaps, an
// allocation over several nodes and its end, a price, a tag.
func fleet() []chapter {
	chapters := make([]chapter, 2)
	for n := range 8 {
		node := fmt.Sprintf("node-%d", n)
		chapters[0].resources = append(chapters[0].resources, schemas.Resource{
			Node: node, Resource: "r-" + node, Provider: "aws", SKU: "x", GPUs: []string{"g0", "g1"}, From: t0,
			PricingCategory: "on_demand", Scheduler: n%2 == 0, IdleWatts: schemas.Absent32,
		})
		for minute := range int64(10) {
			ts := make([]int64, 0, 6)
			for i := range int64(6) {
				ts = append(ts, t0+minute*60_000+i*10_000)
			}
			at := &chapters[int(minute+int64(n))%2]
			at.samples = append(at.samples, samplesAt(node, fmt.Sprintf("g%d", n%2), ts...))
		}
	}
	held := schemas.Allocation{
		TS: t0 + 61_234, Event: schemas.EventStart, Allocation: "a", HasGPUs: true, User: "u", ReqGPUs: -1, ReqWalltime: -1,
		GPUs: []schemas.GPURef{{Node: "node-0", GPU: "g0"}, {Node: "node-1", GPU: "g1"}, {Node: "node-5", GPU: "g1"}},
	}
	end := schemas.Allocation{TS: t0 + 400_001, Event: schemas.EventEnd, Allocation: "a", ReqGPUs: -1, ReqWalltime: -1}
	price := schemas.Price{Provider: "aws", SKU: "x", PricingCategory: "on_demand", Currency: "USD", PerHour: 98_320_000_007, From: t0 - 1}
	chapters[0].prices = []schemas.Price{price}
	price.PerHour, price.From = 55_000_000_001, t0+90_000
	chapters[1].prices = []schemas.Price{price}
	chapters[0].allocations, chapters[1].allocations = []schemas.Allocation{end}, []schemas.Allocation{held}
	chapters[1].tags = []schemas.Tag{{Match: "user=u", Set: "team=t", From: t0}}
	return chapters
}

// facts are the newest rows of each cell: all columns but restated, which tells
// how they came about. An empty cell is no cell.
type facts map[string][]string

func (f facts) Activity([]schemas.Activity) {}

func (f facts) Costs(c *schemas.Costs) {
	fresh := map[string]bool{}
	for i := range c.Len() {
		k := fmt.Sprintf("%s %s %d", text(c.Resource, i), text(c.GPU, i), c.Window[i])
		if !fresh[k] {
			delete(f, k)
			fresh[k] = true
		}
		if c.State[i] != 0 {
			c.Restated[i] = 0
			f[k] = append(f[k], rowOf(c, i))
		}
	}
}

func (facts) Report(schemas.DeadLetter) {}

// The real engine behind the shell: several meters, one of them killed, publish
// to the nano what one engine computes of the same events.
func TestMetersPublishWhatOneEngineComputes(t *testing.T) {
	c, chapters, horizon := newCluster(t), fleet(), fleetEnd
	processor := func(name string, more ...kgo.Opt) Config {
		cfg := c.config(name, more...)
		cfg.NewEngine, cfg.Engine = nil, rules()
		return cfg
	}
	start(t, processor("a"))
	var wires cable
	victim := start(t, processor("b", wires.options()...))
	c.publish(&chapters[0])
	c.finish(horizon - 240_000)
	wires.pull()
	victim.cancel()
	c.publish(&chapters[1])
	c.finish(horizon)

	c.checkFacts(chapters)
}

// checkFacts compares what was published of a whole fleet with what one engine
// computes.
func (c *cluster) checkFacts(chapters []chapter) {
	c.t.Helper()
	c.checkCells(chapters, 8*2*10)
}

func (c *cluster) checkCells(chapters []chapter, cells int) {
	c.t.Helper()
	one, err := engine.New(rules())
	if err != nil {
		c.t.Fatal(err)
	}
	want := facts{}
	for i := range chapters {
		feedChapter(one, &chapters[i])
	}
	one.Advance(fleetEnd, true, want)
	got := facts{}
	var dec wire.CostDecoder
	for _, rec := range c.readAll(schemas.StreamCost) {
		var costs schemas.Costs
		if err := dec.Decode(&costs, rec); err != nil {
			c.t.Fatal(err)
		}
		before := got.copies(&costs)
		got.Costs(&costs)
		for k, rows := range before {
			if slices.Equal(rows, got[k]) {
				c.t.Errorf("cell %s was published twice alike: %v", k, rows)
			}
		}
	}
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if !slices.Equal(got[k], want[k]) {
			c.t.Errorf("cell %s:\n got %v\nwant %v", k, got[k], want[k])
		}
	}
	if len(got) != len(want) || len(want) != cells {
		c.t.Errorf("%d cells, want %d of %d", len(got), len(want), cells)
	}
}

// copies are the rows of the cells of c before c.
func (f facts) copies(c *schemas.Costs) facts {
	old := facts{}
	for i := range c.Len() {
		k := fmt.Sprintf("%s %s %d", text(c.Resource, i), text(c.GPU, i), c.Window[i])
		if rows, ok := f[k]; ok {
			old[k] = rows
		}
	}
	return old
}

package engine_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// An input is what an input directory holds, refused lines left out, event by
// event: samples are batches of one row.
type input struct {
	samples     []*schemas.Samples
	allocations []schemas.Allocation
	resources   []schemas.Resource
	prices      []schemas.Price
	tags        []schemas.Tag
	horizon     int64
}

// load reads an input directory as replay does.
func load(t *testing.T, dir string) *input {
	t.Helper()
	in := &input{horizon: math.MinInt64}
	for _, file := range contract.Files() {
		f, err := os.Open(filepath.Join(dir, file.Name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		in.read(t, contract.NewReader(file, f), file.Stream)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if until, ok := untilOf(t, dir); ok {
		in.horizon = until
	}
	return in
}

func (in *input) read(t *testing.T, r *contract.Reader, stream string) {
	for {
		err := r.Next()
		var refused *contract.Error
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &refused):
			t.Logf("%s: %v", r.Place(), err)
			continue
		case err != nil:
			t.Fatal(err)
		}
		in.take(r, stream)
	}
}

func (in *input) take(r *contract.Reader, stream string) {
	switch stream {
	case schemas.StreamSamples:
		var b contract.Batch
		if in.exists(r.Sample.TS) {
			b.Add(&r.Sample)
			in.samples = append(in.samples, &b.Samples)
		}
	case schemas.StreamProcesses:
		in.exists(r.Process.TS)
	case schemas.StreamAllocations:
		if in.exists(r.Allocation.TS) {
			a := r.Allocation
			a.GPUs, a.Labels, a.Command = slices.Clone(a.GPUs), slices.Clone(a.Labels), slices.Clone(a.Command)
			in.allocations = append(in.allocations, a)
		}
	case schemas.StreamResources:
		res := r.Resource
		res.GPUs = slices.Clone(res.GPUs)
		in.resources = append(in.resources, res)
	case schemas.StreamPrices:
		in.prices = append(in.prices, r.Price)
	case schemas.StreamTags:
		in.tags = append(in.tags, r.Tag)
	}
}

// exists is rule 1's bound on event times, with the run at 2030; an event inside
// it may be the horizon.
func (in *input) exists(ts int64) bool {
	if ts < time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() || ts > time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		return false
	}
	in.horizon = max(in.horizon, ts)
	return true
}

// untilOf is the horizon that a case's WHY.md or until file names.
func untilOf(t *testing.T, dir string) (int64, bool) {
	if b, err := os.ReadFile(filepath.Join(dir, "until")); err == nil {
		v, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err != nil {
			t.Fatalf("%s/until: %v", dir, err)
		}
		return v, true
	}
	why, err := os.ReadFile(filepath.Join(dir, "WHY.md"))
	if err != nil {
		return 0, false
	}
	m := regexp.MustCompile(`--until (\d+)`).FindSubmatch(why)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatalf("%s/WHY.md: %v", dir, err)
	}
	return v, true
}

// config is what replay uses by default.
func config() engine.Config {
	return engine.Config{
		Window: 60_000, Grace: 30_000, EarlyEvery: 10_000, KeepSamples: 45 * 24 * 3_600_000,
		Epsilon: 10_000, IdleMemory: 1 << 30, ReportPrices: true,
	}
}

func newEngine(t rapid.TB, cfg engine.Config) *engine.Engine {
	t.Helper()
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// feed gives an engine everything.
func (in *input) feed(e *engine.Engine) {
	for _, add := range in.adds() {
		add(e)
	}
}

// adds is one call for each event, in file order.
func (in *input) adds() []func(*engine.Engine) {
	var all []func(*engine.Engine)
	for i := range in.resources {
		all = append(all, func(e *engine.Engine) { e.AddResource(&in.resources[i]) })
	}
	for i := range in.prices {
		all = append(all, func(e *engine.Engine) { e.AddPrice(&in.prices[i]) })
	}
	for i := range in.tags {
		all = append(all, func(e *engine.Engine) { e.AddTag(&in.tags[i]) })
	}
	for i := range in.allocations {
		all = append(all, func(e *engine.Engine) { e.AddAllocation(&in.allocations[i]) })
	}
	for _, s := range in.samples {
		all = append(all, func(e *engine.Engine) { e.AddSamples(s) })
	}
	return all
}

// A key names a cell.
type key struct {
	node, resource, gpu string
	window              int64
}

// A ledger keeps the newest revision of each cell, as the sink does.
type ledger struct {
	t        rapid.TB
	cells    map[key][]fact
	final    map[key]bool
	letters  []schemas.DeadLetter
	revision map[key]int
	rows     int
}

func newLedger(t rapid.TB) *ledger {
	return &ledger{t: t, cells: map[key][]fact{}, final: map[key]bool{}, revision: map[key]int{}}
}

// A fact is a row as text, for comparison and for reading.
type fact struct {
	from, to                           int64
	slice, allocation, team, attribute string
	state, attribution                 uint8
	gpuMs, usedMs, list, used, waste   int64
	util, sm                           uint32
	mem, energy                        uint64
	price, currency                    string
	priced                             bool
	x0, x1                             uint32
	runs                               string
}

func at(x schemas.Text, i int) string { return x.Dict[x.Index[i]] }

func (l *ledger) Costs(c *schemas.Costs) {
	l.rows += c.Len()
	seen := map[key]bool{}
	runs := uint32(0)
	for i := range c.Len() {
		k := key{at(c.Node, i), at(c.Resource, i), at(c.GPU, i), c.Window[i]}
		if !seen[k] {
			seen[k] = true
			l.open(k, c, i)
		}
		f := factOf(c, i, runs)
		runs = c.RunsEnd[i]
		if f.state != 0 {
			l.cells[k] = append(l.cells[k], f)
		}
	}
}

// open begins a new revision of a cell.
func (l *ledger) open(k key, c *schemas.Costs, i int) {
	final := c.Finality[i] == schemas.FinalityFinal
	if l.final[k] && !final {
		l.t.Errorf("%v was final and became early", k)
	}
	if restated := c.Restated[i] == 1; restated != l.final[k] {
		l.t.Errorf("%v: restated is %v, final before is %v", k, restated, l.final[k])
	}
	l.cells[k], l.final[k] = nil, final && c.State[i] != 0
	l.revision[k]++
}

func (l *ledger) Report(d schemas.DeadLetter) { l.letters = append(l.letters, d) }

func factOf(c *schemas.Costs, i int, runs uint32) fact {
	f := fact{
		from: c.WindowStart[i], to: c.WindowEnd[i], slice: at(c.Slice, i), allocation: at(c.Allocation, i), team: at(c.Team, i),
		state: c.State[i], attribution: c.Attribution[i],
		gpuMs: c.GPUMs[i], usedMs: c.UsedGPUMs[i], list: c.ListCost[i], used: c.UsedCost[i], waste: c.WasteCost[i],
		util: c.Utilization[i], sm: c.SMActive[i], mem: c.MemoryMax[i], energy: c.Energy[i],
		price: at(c.PriceID, i), currency: at(c.Currency, i), priced: c.PriceStatus[i] == schemas.Priced,
		x0: c.PositionFrom[i], x1: c.PositionTo[i], runs: fmt.Sprint(c.Runs[runs:c.RunsEnd[i]]),
	}
	f.attribute = strings.Join([]string{
		at(c.Cluster, i), at(c.Provider, i), at(c.Region, i), at(c.SKU, i), at(c.Model, i), at(c.User, i), at(c.Name, i), at(c.Namespace, i),
		at(c.Project, i), at(c.CostCenter, i), at(c.Environment, i), at(c.AIModel, i), at(c.ModelVersion, i), at(c.Phase, i), at(c.Labels, i),
	}, "|")
	return f
}

// states names states as SQL does.
func states() []string {
	return []string{"", "active", "idle_held", "idle", "unallocated", "unavailable", "unknown"}
}

// tsv is the ledger in the form of expect.tsv, sorted as it is.
func (l *ledger) tsv() string {
	type line struct {
		key
		fact
	}
	var lines []line
	for k, facts := range l.cells {
		for _, f := range facts {
			lines = append(lines, line{k, f})
		}
	}
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.resource, b.resource), cmp.Compare(a.gpu, b.gpu),
			cmp.Compare(a.slice, b.slice), cmp.Compare(a.allocation, b.allocation), cmp.Compare(states()[a.state], states()[b.state]))
	})
	var out strings.Builder
	out.WriteString("window_start\twindow_end\tresource\tgpu\tslice\tallocation\tstate\tteam\tgpu_ms\tlist_cost_nanos\n")
	for _, r := range lines {
		cost := `\N`
		if r.priced {
			cost = strconv.FormatInt(r.list, 10)
		}
		fmt.Fprintf(&out, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", r.from, r.to, r.resource, r.gpu, r.slice, r.allocation, states()[r.state], r.team, r.gpuMs, cost)
	}
	return out.String()
}

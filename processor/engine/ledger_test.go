package engine_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

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
	stretches                          [maxStretches]uint32 // of runs, for arithmetic
}

// maxStretches is more bounds of runs than a row of a test has.
const maxStretches = 128

func at(x schemas.Text, i int) string { return x.Dict[x.Index[i]] }

func (l *ledger) Activity([]schemas.Activity) {}

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
	if copy(f.stretches[:], c.Runs[runs:c.RunsEnd[i]]) == maxStretches {
		panic("maxStretches is too small")
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

// table is the ledger as a tab-separated table of the named columns, sorted.
func (l *ledger) table(columns []string) string {
	var rows []string
	for k, facts := range l.cells {
		for _, f := range facts {
			cells := make([]string, len(columns))
			for i, c := range columns {
				cells[i] = f.column(k, c)
			}
			rows = append(rows, strings.Join(cells, "\t"))
		}
	}
	slices.SortFunc(rows, cmp.Compare[string])
	return strings.Join(append([]string{strings.Join(columns, "\t")}, rows...), "\n") + "\n"
}

// column is one value as the contract cases write it.
func (f fact) column(k key, name string) string {
	integer := func(v int64) string { return strconv.FormatInt(v, 10) }
	nanos := func(v int64) string {
		if !f.priced {
			return `\N`
		}
		return integer(v)
	}
	optional := func(v, absent uint64) string {
		if v == absent {
			return `\N`
		}
		return strconv.FormatUint(v, 10)
	}
	switch name {
	case "window_start":
		return integer(f.from)
	case "window_end":
		return integer(f.to)
	case "node":
		return k.node
	case "resource":
		return k.resource
	case "gpu":
		return k.gpu
	case "slice":
		return f.slice
	case "state":
		return states()[f.state]
	case "attribution":
		return []string{"none", "exclusive", "given", "equal", "slice"}[f.attribution]
	case "gpu_ms":
		return integer(f.gpuMs)
	case "used_gpu_ms":
		return integer(f.usedMs)
	case "list_cost_nanos", "effective_cost_nanos":
		return nanos(f.list)
	case "used_cost_nanos":
		return nanos(f.used)
	case "waste_cost_nanos":
		return nanos(f.waste)
	case "utilization_ppm":
		return optional(uint64(f.util), uint64(schemas.Absent32))
	case "sm_active_ppm":
		return optional(uint64(f.sm), uint64(schemas.Absent32))
	case "memory_used_max_bytes":
		return optional(f.mem, schemas.Absent64)
	case "energy_mj":
		return optional(f.energy, schemas.Absent64)
	case "position_from":
		return integer(int64(f.x0))
	case "position_to":
		return integer(int64(f.x1))
	}
	text, ok := f.texts()[name]
	if !ok {
		return "no column " + name
	}
	return text
}

// texts are the text columns of a fact by name.
func (f fact) texts() map[string]string {
	all := map[string]string{"allocation": f.allocation, "team": f.team, "price_id": f.price, "currency": f.currency}
	values := strings.Split(f.attribute, "|")
	for i, name := range []string{
		"cluster", "provider", "region", "sku", "gpu_model", "user", "name", "namespace",
		"project", "cost_center", "environment", "model", "model_version", "phase", "labels",
	} {
		all[name] = values[i]
	}
	return all
}

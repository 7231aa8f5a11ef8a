package oracle

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// A Record is one line of resources.ndjson.
type Record struct {
	Node, Resource, Cluster, Provider, Region, SKU, GPUModel string

	GPUs            []string // sorted, each once
	From            int64    // ms
	To              int64    // ms, Absent = open
	PricingCategory string
	Scheduler       bool
	IdleWatts       int64 // mW, Absent = not given
}

// A record is a Record in its place: when it exists.
type record struct {
	Record
	start, end int64 // ms: it exists in [start, end)
}

func (r *record) exists(t int64) bool { return r.start <= t && t < r.end }

// before tells whether o has a GPU rather than r (rule 1).
func (r *record) before(o *record) bool {
	return cmp.Or(cmp.Compare(r.From, o.From), strings.Compare(r.Resource, o.Resource)) < 0
}

func (in *input) addRecord(line []byte) error {
	f := parseObject(line)
	r := Record{
		Node: f.requiredText("node"), Resource: f.requiredText("resource"), Cluster: f.text("cluster"),
		Provider: f.requiredText("provider"), Region: f.text("region"), SKU: f.text("sku"), GPUModel: f.text("gpu_model"),
		From: f.requiredTime("from"), To: f.laterTime("to"), PricingCategory: f.text("pricing_category"),
		Scheduler: f.flag("scheduler"), IdleWatts: f.amount("idle_watts", 3, math.MaxUint32-1),
	}
	if r.PricingCategory == "" {
		r.PricingCategory = "on_demand"
	}
	if !isCategory(r.PricingCategory) {
		f.fail("pricing_category", "is not one of the four")
	}
	items, _ := f.list("gpus")
	for _, raw := range items {
		if raw[0] != '"' {
			f.fail("gpus", "must hold texts")
			break
		}
		r.GPUs = append(r.GPUs, in.same(unquote(raw)))
	}
	slices.Sort(r.GPUs)
	if len(r.GPUs) == 0 || r.GPUs[0] == "" || len(slices.Compact(slices.Clone(r.GPUs))) != len(r.GPUs) {
		f.fail("gpus", "must name every GPU once")
	}
	if f.err == nil {
		in.records = append(in.records, r)
	}
	return f.err
}

func isCategory(s string) bool {
	return slices.Contains([]string{"on_demand", "spot", "committed", "owned"}, s)
}

// compareRecords orders the records of one key as rule 6 does.
func compareRecords(a, b Record) int {
	return cmp.Or(
		strings.Compare(a.Node, b.Node), strings.Compare(a.Cluster, b.Cluster),
		strings.Compare(a.Provider, b.Provider), strings.Compare(a.Region, b.Region),
		strings.Compare(a.SKU, b.SKU), strings.Compare(a.GPUModel, b.GPUModel),
		slices.Compare(a.GPUs, b.GPUs), cmp.Compare(a.To, b.To),
		strings.Compare(a.PricingCategory, b.PricingCategory),
		compareGiven(a.Scheduler, b.Scheduler), cmp.Compare(a.IdleWatts, b.IdleWatts))
}

// recordsByResource lists the records of each resource in order of From, one
// for each From, and says when each exists: not before the ledger does.
func recordsByResource(all []Record, ledgerFrom, horizon int64) map[string][]*record {
	byID := map[string][]Record{}
	for _, r := range all {
		byID[r.Resource] = append(byID[r.Resource], r)
	}
	placed := map[string][]*record{}
	for id, list := range byID {
		slices.SortFunc(list, func(a, b Record) int { return cmp.Or(cmp.Compare(a.From, b.From), compareRecords(a, b)) })
		earliest := int64(maxInt64)
		for i, r := range list {
			if r.To != Absent {
				earliest = min(earliest, r.To)
			}
			if i+1 < len(list) && list[i+1].From == r.From {
				continue // a greater one of the same key follows
			}
			end := min(earliest, horizon)
			if i+1 < len(list) {
				end = min(end, list[i+1].From)
			}
			start := r.From
			if ledgerFrom != 0 {
				start = max(start, ledgerFrom)
			}
			placed[id] = append(placed[id], &record{r, start, end})
			earliest = maxInt64
		}
	}
	return placed
}

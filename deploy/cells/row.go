package cells

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/schemas"
)

// row reads row i of a batch in the oracle's terms.
func row(b *schemas.Costs, i int) oracle.Row {
	r := oracle.Row{
		WindowStart: b.WindowStart[i], WindowEnd: b.WindowEnd[i], Resource: at(b.Resource, i), GPU: at(b.GPU, i),
		Slice: at(b.Slice, i), Allocation: at(b.Allocation, i), State: oracle.State(b.State[i]),
		Cluster: at(b.Cluster, i), Node: at(b.Node, i), Provider: at(b.Provider, i), Region: at(b.Region, i), SKU: at(b.SKU, i), GPUModel: at(b.Model, i),
		User: at(b.User, i), Name: at(b.Name, i), Namespace: at(b.Namespace, i),
		Team: at(b.Team, i), Project: at(b.Project, i), CostCenter: at(b.CostCenter, i), Environment: at(b.Environment, i),
		Model: at(b.AIModel, i), ModelVersion: at(b.ModelVersion, i), Phase: at(b.Phase, i), Labels: labels(at(b.Labels, i)),
		Attribution: [...]string{"none", "exclusive", "given", "equal", "slice"}[b.Attribution[i]],
		GPUMs:       b.GPUMs[i], UsedGPUMs: b.UsedGPUMs[i],
		Utilization: reported(uint64(b.Utilization[i]), uint64(schemas.Absent32)), SMActive: reported(uint64(b.SMActive[i]), uint64(schemas.Absent32)),
		MemoryMax: reported(b.MemoryMax[i], schemas.Absent64), Energy: reported(b.Energy[i], schemas.Absent64),
		Priced: b.PriceStatus[i] == schemas.Priced, Currency: at(b.Currency, i), PriceID: at(b.PriceID, i),
		PositionFrom: int64(b.PositionFrom[i]), PositionTo: int64(b.PositionTo[i]),
	}
	if r.Priced {
		r.ListCost, r.EffectiveCost, r.UsedCost, r.WasteCost = b.ListCost[i], b.EffectiveCost[i], b.UsedCost[i], b.WasteCost[i]
	}
	begin := uint32(0)
	if i > 0 {
		begin = b.RunsEnd[i-1]
	}
	for _, ms := range b.Runs[begin:b.RunsEnd[i]] {
		r.Runs = append(r.Runs, int64(ms))
	}
	return r
}

func reported(v, absent uint64) int64 {
	if v == absent {
		return oracle.Absent
	}
	return int64(v)
}

// labels reads a JSON object; a text that is none gives a label that no input has.
func labels(text string) []oracle.Label {
	if text == "" {
		return nil
	}
	var object map[string]string
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return []oracle.Label{{Key: "not JSON", Value: text}}
	}
	var list []oracle.Label
	for k, v := range object {
		list = append(list, oracle.Label{Key: k, Value: v})
	}
	slices.SortFunc(list, func(a, b oracle.Label) int { return strings.Compare(a.Key, b.Key) })
	return list
}

package main

import (
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
)

func TestRepeated(t *testing.T) {
	key := cell{node: "n", resource: "r", gpu: "g"}
	early, final := revision{offset: 1, digest: 7}, revision{offset: 2, finality: schemas.FinalityFinal, digest: 7}
	changed := revision{offset: 3, finality: schemas.FinalityFinal, digest: 8}
	back := revision{offset: 4, finality: schemas.FinalityFinal, digest: 7}
	for name, test := range map[string]struct {
		cells    []revision
		findings map[finding]int
		want     string
	}{
		"as it should be":          {[]revision{early, final, changed, back}, map[finding]int{{"f", 1}: 1, {"f", 2}: 1}, ""},
		"a transaction repeated":   {[]revision{early, final, {offset: 9, finality: schemas.FinalityFinal, digest: 7}}, nil, "offset 2 and, unchanged, again at 9"},
		"a finding twice":          {nil, map[finding]int{{"f", 1}: 2}, "finding f revision 1 was published 2 times"},
		"a revision of it is lost": {nil, map[finding]int{{"f", 1}: 1, {"f", 3}: 1}, "but no 2"},
	} {
		all := published{cells: map[cell][]revision{key: test.cells}, findings: test.findings}
		if got := all.repeated(); (got == "") != (test.want == "") || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// costs is two cells, the first of two rows.
func costs() *schemas.Costs {
	one := schemas.Text{Index: []uint32{0, 0, 0}, Dict: []string{"x"}}
	c := &schemas.Costs{
		Cluster: one, Node: one, Resource: one, Provider: one, Region: one, SKU: one, Model: one, Slice: one, Allocation: one,
		User: one, Name: one, Namespace: one, Team: one, Project: one, CostCenter: one, Environment: one, AIModel: one, ModelVersion: one,
		Phase: one, Labels: one, Currency: one, PriceID: one, GPU: schemas.Text{Index: []uint32{0, 0, 1}, Dict: []string{"g0", "g1"}},
		Window: make([]int64, 3), Finality: make([]uint8, 3), Restated: make([]uint8, 3), WindowStart: make([]int64, 3), WindowEnd: make([]int64, 3),
		State: []uint8{1, 2, 0}, Attribution: make([]uint8, 3), GPUMs: []int64{40, 2, 0}, UsedGPUMs: make([]int64, 3), Utilization: make([]uint32, 3),
		SMActive: make([]uint32, 3), MemoryMax: make([]uint64, 3), Energy: make([]uint64, 3), ListCost: make([]int64, 3), EffectiveCost: make([]int64, 3),
		UsedCost: make([]int64, 3), WasteCost: make([]int64, 3), PriceStatus: make([]uint8, 3), PositionFrom: make([]uint32, 3), PositionTo: make([]uint32, 3),
		RunsEnd: []uint32{2, 4, 4}, Runs: []uint32{0, 40, 40, 42},
	}
	return c
}

func TestCellsOfAMessage(t *testing.T) {
	read := func(change func(*schemas.Costs)) (two, none revision) {
		c := costs()
		change(c)
		all := published{cells: map[cell][]revision{}}
		all.add(c, 5)
		if len(all.cells) != 2 {
			t.Fatalf("%d cells", len(all.cells))
		}
		return all.cells[cell{"x", "x", "g0", 0}][0], all.cells[cell{"x", "x", "g1", 0}][0]
	}
	two, none := read(func(*schemas.Costs) {})
	if two.stored != (stored{2, 42}) || two.empty || two.offset != 5 || !none.empty {
		t.Errorf("%+v, %+v", two, none)
	}
	for name, change := range map[string]func(*schemas.Costs){
		"a number": func(c *schemas.Costs) { c.ListCost[1]++ },
		"a text":   func(c *schemas.Costs) { c.Team = schemas.Text{Index: []uint32{0, 1, 0}, Dict: []string{"x", "y"}} },
		"a run":    func(c *schemas.Costs) { c.Runs[3]++ },
	} {
		if changed, _ := read(change); changed.digest == two.digest {
			t.Errorf("%s changed, the digest did not", name)
		}
	}
	if same, _ := read(func(c *schemas.Costs) { c.Restated[0], c.Restated[1] = 1, 1 }); same.digest != two.digest {
		t.Error("the digest says how often the cell was published")
	}
}

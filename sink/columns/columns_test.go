package columns

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// decoded reads a text column back with ch-go's own decoder.
func decoded(t interface{ Fatal(...any) }, c *text) []string {
	var b proto.Buffer
	c.EncodeState(&b)
	c.EncodeColumn(&b)
	read := new(proto.ColStr).LowCardinality()
	r := proto.NewReader(bytes.NewReader(b.Buf))
	if err := read.DecodeState(r); err != nil {
		t.Fatal(err)
	}
	if err := read.DecodeColumn(r, c.Rows()); err != nil {
		t.Fatal(err)
	}
	var out []string
	for i := range read.Rows() {
		out = append(out, read.Row(i))
	}
	return out
}

func TestTextIsTheUnionOfItsDictionaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newText()
		for round := range 2 { // the second after a reset
			var want []string
			for range rapid.IntRange(1, 4).Draw(t, "records") {
				dict := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,2}`), 1, 5).Draw(t, "dict")
				index := rapid.SliceOf(rapid.Uint32Range(0, uint32(len(dict)-1))).Draw(t, "index")
				c.learn(dict)
				c.appendIndex(index)
				for _, i := range index {
					want = append(want, dict[i])
				}
			}
			c.repeat("x", 1)
			want = append(want, "x")
			if got := decoded(t, c); !slices.Equal(got, want) {
				t.Fatalf("round %d: got %q, want %q", round, got, want)
			}
			c.reset()
		}
	})
}

func TestTextIndexIsAsWideAsItsDictionary(t *testing.T) {
	for _, n := range []int{1, 256, 257, 1 << 16, 1<<16 + 1} {
		c := newText()
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint(i))
		}
		c.learn(want)
		for i := range n {
			c.appendOne(uint32(i))
		}
		if got := decoded(t, c); !slices.Equal(got, want) {
			t.Errorf("%d entries do not come back", n)
		}
	}
}

// batch makes facts of the cells (gpu, window); state 0 marks an empty cell.
func batch(rows ...struct {
	gpu    string
	window int64
	state  uint8
	runs   int
},
) *schemas.Costs {
	b := &schemas.Costs{}
	fields := []*schemas.Text{
		&b.Cluster, &b.Node, &b.Resource, &b.Provider, &b.Region, &b.SKU, &b.Model, &b.Slice, &b.Allocation, &b.User, &b.Name, &b.Namespace,
		&b.Team, &b.Project, &b.CostCenter, &b.Environment, &b.AIModel, &b.ModelVersion, &b.Phase, &b.Labels, &b.Currency, &b.PriceID,
	}
	for _, r := range rows {
		for _, f := range fields {
			f.Index, f.Dict = append(f.Index, 0), []string{"v"}
		}
		b.GPU.Index = append(b.GPU.Index, uint32(len(b.GPU.Dict))) // each row has an entry of its own
		b.GPU.Dict = append(b.GPU.Dict, r.gpu)
		b.Window = append(b.Window, r.window)
		b.State = append(b.State, r.state)
		for _, c := range []*[]uint8{&b.Finality, &b.Restated, &b.Attribution, &b.PriceStatus} {
			*c = append(*c, 0)
		}
		for _, c := range []*[]int64{&b.WindowStart, &b.WindowEnd, &b.GPUMs, &b.UsedGPUMs, &b.ListCost, &b.EffectiveCost, &b.UsedCost, &b.WasteCost} {
			*c = append(*c, r.window)
		}
		for _, c := range []*[]uint32{&b.Utilization, &b.SMActive, &b.PositionFrom, &b.PositionTo} {
			*c = append(*c, 0)
		}
		b.MemoryMax, b.Energy = append(b.MemoryMax, 0), append(b.Energy, 0)
		for i := range r.runs {
			b.Runs = append(b.Runs, uint32(i))
		}
		b.RunsEnd = append(b.RunsEnd, uint32(len(b.Runs)))
	}
	return b
}

type row = struct {
	gpu    string
	window int64
	state  uint8
	runs   int
}

func TestCellsAreCutWhereTheirKeyChanges(t *testing.T) {
	c := NewCells()
	b := batch(row{"g", 1, 1, 2}, row{"g", 1, 2, 1}, row{"g", 2, 0, 0}, row{"h", 2, 3, 3}, row{"h", 2, 6, 0})
	for range 2 {
		c.Append(b, 7, 9)
	}
	if c.Rows() != 6 || c.Facts() != 8 {
		t.Errorf("%d cells of %d facts, want 6 of 8", c.Rows(), c.Facts())
	}
	if want := (proto.ColUInt64{2, 2, 4, 6, 6, 8}); !slices.Equal(c.ends, want) {
		t.Errorf("cells end at %v, want %v", c.ends, want)
	}
	if want := (proto.ColUInt64{2, 3, 6, 6, 8, 9, 12, 12}); !slices.Equal(c.runsEnd, want) {
		t.Errorf("runs end at %v, want %v", c.runsEnd, want)
	}
	if want := (proto.ColUInt32{0, 1, 0, 0, 1, 2, 0, 1, 0, 0, 1, 2}); !slices.Equal(c.runs, want) {
		t.Errorf("runs are %v, want %v", c.runs, want)
	}
	for _, column := range c.Input() {
		if column.Data.Rows() != 6 {
			t.Errorf("column %s has %d rows", column.Name, column.Data.Rows())
		}
	}
	c.Reset()
	if c.Rows() != 0 || c.Facts() != 0 {
		t.Error("Reset leaves rows")
	}
}

func TestEveryColumnOfTheTableIsSentWithItsType(t *testing.T) {
	samples, allocations := NewSamples(), NewEvents[schemas.Allocation](schemas.StreamAllocations)
	for _, b := range []*Block{&NewCells().Block, &samples.Block, &allocations.Block} {
		sent := map[string]string{}
		for _, c := range b.Input() {
			sent[c.Name] = c.Data.Type().String()
		}
		for _, c := range clickhouse.FindTable(b.Table).Columns {
			if c.Extra != "" {
				continue // the server makes it
			}
			if sent[c.Name] != c.Type && c.Name != clickhouse.RowPrefix+"runs" {
				t.Errorf("%s.%s is sent as %q, declared as %q", b.Table, c.Name, sent[c.Name], c.Type)
			}
			delete(sent, c.Name)
		}
		if len(sent) > 0 {
			t.Errorf("%s has no columns for %v", b.Table, sent)
		}
	}
}

func TestSamplesTakeTheirSeries(t *testing.T) {
	s := NewSamples()
	s.Append(&schemas.Samples{
		Node: "n", Series: []schemas.Series{{GPU: "g", Interval: 1}, {GPU: "h", Interval: 2, MemoryTotal: 5}},
		Index: []uint16{1, 0, 1}, TS: []int64{1, 2, 3}, Utilization: make([]uint32, 3), SMActive: make([]uint32, 3), TensorActive: make([]uint32, 3),
		DRAMActive: make([]uint32, 3), MemoryUsed: make([]uint64, 3), Power: make([]uint32, 3), Energy: make([]uint64, 3), Temperature: make([]int16, 3),
	}, 9)
	if got, want := decoded(t, s.gpu), []string{"h", "g", "h"}; !slices.Equal(got, want) {
		t.Errorf("gpus %q, want %q", got, want)
	}
	if want := (proto.ColUInt32{2, 1, 2}); !slices.Equal(s.interval, want) {
		t.Errorf("intervals %v, want %v", s.interval, want)
	}
	if want := (proto.ColInt64{9, 9, 9}); !slices.Equal(s.appendedAt, want) {
		t.Errorf("appended at %v, want %v", s.appendedAt, want)
	}
}

func BenchmarkCells(b *testing.B) {
	var rows []row
	for i := range 2000 {
		rows = append(rows, row{fmt.Sprint("gpu", i%8), int64(i / 8), 1, 1})
	}
	costs, c := batch(rows...), NewCells()
	b.ReportAllocs()
	for b.Loop() {
		c.Append(costs, 1, 1)
		c.Reset()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
}

package meter

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

func TestInBounds(t *testing.T) {
	const appended = t0
	for _, c := range []struct {
		ts   int64
		want bool
	}{
		{firstInstant, true},
		{firstInstant - 1, false},
		{0, false},
		{appended, true},
		{appended + 10*60_000, true},
		{appended + 10*60_000 + 1, false},
		{4_102_444_800_000, false}, // 2100
	} {
		if got := inBounds(c.ts, appended); got != c.want {
			t.Errorf("inBounds(%d) = %t", c.ts, got)
		}
	}
}

// The rows that stay are those that a filter over whole rows keeps, in order,
// with all of their columns.
func TestCutSamples(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ts := rapid.SliceOfN(rapid.SampledFrom([]int64{t0, t0 + 1, t0 + 2, 0, 4_102_444_800_000}), 1, 12).Draw(t, "ts")
		b := samplesAt("n", "g", ts...)
		var want []int64
		for i := range ts {
			// Every column tells its row.
			b.Utilization[i], b.SMActive[i], b.TensorActive[i], b.DRAMActive[i] = uint32(i), uint32(i), uint32(i), uint32(i)
			b.MemoryUsed[i], b.Power[i], b.Energy[i], b.Temperature[i] = uint64(i), uint32(i), uint64(i), int16(i)
			if ts[i] >= firstInstant && ts[i] < t0+60_000 {
				want = append(want, int64(i))
			}
		}
		refused, first := cutSamples(b, t0)
		if int(refused) != len(ts)-len(want) || (refused > 0) != (first != "") {
			t.Fatalf("refused %d (%q) of %v", refused, first, ts)
		}
		for k, i := range want {
			if b.TS[k] != ts[i] {
				t.Fatalf("row %d is not row %d of %v", k, i, ts)
			}
		}
		for name, column := range columns(b) {
			if !slices.Equal(column, want) {
				t.Fatalf("%s holds rows %v, want %v", name, column, want)
			}
		}
		if b.Len() != len(want) || len(b.Index) != len(want) {
			t.Fatalf("%d rows, %d indexes, want %d", b.Len(), len(b.Index), len(want))
		}
	})
}

func columns(b *schemas.Samples) map[string][]int64 {
	return map[string][]int64{
		"utilization": whole(b.Utilization), "sm_active": whole(b.SMActive), "tensor_active": whole(b.TensorActive),
		"dram_active": whole(b.DRAMActive), "memory_used": whole(b.MemoryUsed), "power": whole(b.Power),
		"energy": whole(b.Energy), "temperature": whole(b.Temperature),
	}
}

func whole[T int16 | uint32 | uint64](column []T) []int64 {
	out := make([]int64, 0, len(column))
	for _, v := range column {
		out = append(out, int64(v))
	}
	return out
}

func TestCutRows(t *testing.T) {
	events := []schemas.Allocation{{TS: 0, Allocation: "a"}, {TS: t0, Allocation: "b"}, {TS: t0 + 600_001, Allocation: "c"}, {TS: t0 + 600_000, Allocation: "d"}}
	kept, refused, first := cutRows(events, t0, func(a *schemas.Allocation) int64 { return a.TS })
	if len(kept) != 2 || kept[0].Allocation != "b" || kept[1].Allocation != "d" || refused != 2 || first != "row 0: ts 0" {
		t.Errorf("kept %v, refused %d, first %q", kept, refused, first)
	}
}

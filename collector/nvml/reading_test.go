package nvml

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

func absentSample(of series, slice string, ts int64) contract.Sample {
	return contract.Sample{
		Node:   of.node,
		Series: schemas.Series{GPU: of.gpu, Slice: slice, Model: of.model, Interval: of.interval, MemoryTotal: schemas.Absent64},
		TS:     ts, Utilization: schemas.Absent32, SMActive: schemas.Absent32, TensorActive: schemas.Absent32, DRAMActive: schemas.Absent32,
		MemoryUsed: schemas.Absent64, Power: schemas.Absent32, Energy: schemas.Absent64, Temperature: schemas.Absent16,
	}
}

func TestWhatIsNotSaidIsAbsent(t *testing.T) {
	of := series{"n1", "GPU-a", "H100", 1000}
	var r reading
	if got, want := r.sample(of, 5000), absentSample(of, "", 5000); got != want {
		t.Errorf("nothing said: got %+v, want %+v", got, want)
	}
	if r.measured() {
		t.Error("a reading that says nothing counts as measured")
	}
	r = reading{slice: "MIG-1", memoryTotal: said(uint64(1) << 30)}
	if r.measured() {
		t.Error("the size of the memory counts as a measurement")
	}
}

func TestZeroIsAReading(t *testing.T) {
	r := reading{
		utilization: said(uint32(0)), sm: said(0.0), tensor: said(0.0), dram: said(0.0), memoryUsed: said(uint64(0)),
		power: said(uint32(0)), energy: said(uint64(999)), temperature: said(uint32(0)),
	}
	want := absentSample(series{}, "", 0)
	want.Utilization, want.SMActive, want.TensorActive, want.DRAMActive = 0, 0, 0, 0
	want.MemoryUsed, want.Power, want.Energy, want.Temperature = 0, 0, 0, 0
	if got := r.sample(series{}, 0); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if !r.measured() {
		t.Error("zeros are measurements")
	}
}

func TestUnits(t *testing.T) {
	r := reading{
		slice: "MIG-1", utilization: said(uint32(65)), sm: said(12.34567), tensor: said(100.9), dram: said(0.00004),
		memoryUsed: said(uint64(5 << 30)), memoryTotal: said(uint64(80 << 30)), power: said(uint32(433_780)),
		energy: said(uint64(123_456_789)), temperature: said(uint32(53)),
	}
	of := series{"n1", "GPU-a", "H100", 250}
	want := contract.Sample{
		Node: "n1", Series: schemas.Series{GPU: "GPU-a", Slice: "MIG-1", Model: "H100", Interval: 250, MemoryTotal: 80 << 30}, TS: 7,
		Utilization: 650_000, SMActive: 123_457, TensorActive: 1_000_000, DRAMActive: 0,
		MemoryUsed: 5 << 30, Power: 433_780, Energy: 123_456, Temperature: 53,
	}
	if got := r.sample(of, 7); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestWhatCannotBeTrueIsAbsent(t *testing.T) {
	for name, r := range map[string]reading{
		"utilization over 100":  {utilization: said(uint32(101))},
		"not a number":          {sm: said(math.NaN())},
		"negative activity":     {tensor: said(-0.1)},
		"activity beyond doubt": {dram: said(1e9)},
		"infinite activity":     {sm: said(math.Inf(1))},
		"temperature of a sun":  {temperature: said(uint32(40_000))},
	} {
		if got := r.sample(series{}, 0); got != absentSample(series{}, "", 0) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// The instances of a full device leave nothing of it over, and no instance is
// larger than it is.
func TestSlicesFillTheDevice(t *testing.T) {
	for _, c := range []struct {
		most  uint32
		parts []uint32
	}{{7, []uint32{1, 1, 1, 1, 1, 1, 1}}, {7, []uint32{3, 2, 1, 1}}, {7, []uint32{4, 3}}, {7, []uint32{7}}, {4, []uint32{2, 1, 1}}} {
		sum := int32(0)
		for _, n := range c.parts {
			sum += shareOf(n, c.most)
		}
		if sum < 1_000_000 || sum > 1_000_007 {
			t.Errorf("%v of %d: %d millionths", c.parts, c.most, sum)
		}
	}
	for _, none := range [][2]uint32{{0, 7}, {1, 0}, {8, 7}} {
		if got := shareOf(none[0], none[1]); got != 0 {
			t.Errorf("%v is a share of %d", none, got)
		}
	}
}

// A share is present exactly when it was said and can be one, and then it is in
// [0, 1] and within half a millionth of what was said.
func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := value[float64]{rapid.Float64().Draw(t, "percent"), rapid.Bool().Draw(t, "said")}
		got := percent(v)
		if !v.ok || v.v < 0 || v.v > 100+overshoot {
			if got != schemas.Absent32 {
				t.Fatalf("%+v became %d", v, got)
			}
			return
		}
		if diff := math.Abs(float64(got) - min(v.v, 100)*10_000); got > 1_000_000 || diff > 0.5 {
			t.Fatalf("%+v became %d", v, got)
		}
	})
}

package nvml

import (
	"math"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A value is what one call said; the zero value says nothing.
type value[T any] struct {
	v  T
	ok bool
}

func said[T any](v T) value[T] { return value[T]{v, true} }

// A reading is what NVML said of a device or MIG instance in one round, in
// NVML's units.
type reading struct {
	slice       string         // UUID of the MIG instance, empty for the device
	share       int32          // of the device that the MIG instance is, in ppm; 0 = the device, or not known
	utilization value[uint32]  // percent
	sm          value[float64] // percent, so the next two
	tensor      value[float64]
	dram        value[float64]
	memoryUsed  value[uint64] // bytes
	memoryTotal value[uint64]
	power       value[uint32] // mW
	energy      value[uint64] // mJ
	temperature value[uint32] // degrees Celsius
	processes   value[[]process]
}

// A process has a context on a device or MIG instance.
type process struct {
	pid    int
	memory uint64 // bytes; NVML's "not available" is schemas.Absent64
}

// A series is what all samples of a device have in common.
type series struct {
	node, gpu, model string
	interval         uint32 // ms
}

// measured tells whether r says anything that a sample carries. The size of the
// memory is no measurement.
func (r *reading) measured() bool {
	return r.utilization.ok || r.sm.ok || r.tensor.ok || r.dram.ok || r.memoryUsed.ok || r.power.ok || r.energy.ok || r.temperature.ok
}

// sample is r at ts in the units of the contract. What was not said, or cannot
// be true, is absent.
func (r *reading) sample(of series, ts int64) contract.Sample {
	return contract.Sample{
		Node: of.node,
		Series: schemas.Series{
			GPU: of.gpu, Slice: r.slice, Model: of.model, Interval: of.interval,
			MemoryTotal: or(r.memoryTotal, schemas.Absent64),
		},
		TS:           ts,
		Utilization:  wholePercent(r.utilization),
		SMActive:     percent(r.sm),
		TensorActive: percent(r.tensor),
		DRAMActive:   percent(r.dram),
		MemoryUsed:   or(r.memoryUsed, schemas.Absent64),
		Power:        or(r.power, schemas.Absent32),
		Energy:       joules(r.energy),
		Temperature:  celsius(r.temperature),
	}
}

func or[T any](v value[T], absent T) T {
	if v.ok {
		return v.v
	}
	return absent
}

func wholePercent(v value[uint32]) uint32 {
	if !v.ok || v.v > 100 {
		return schemas.Absent32
	}
	return v.v * 10_000
}

// overshoot is how far above 100 a quotient of two counters may come out when
// they are not read at one instant. More is not a share of anything.
const overshoot = 5

func percent(v value[float64]) uint32 {
	if !v.ok || !(v.v >= 0 && v.v <= 100+overshoot) { // not a number is neither
		return schemas.Absent32
	}
	return uint32(math.Round(min(v.v, 100) * 10_000))
}

// shareOf is what n of the most compute slices of a device are of it, in ppm,
// rounded up: seven sevenths are to leave nothing over.
func shareOf(n, most uint32) int32 {
	if n == 0 || most == 0 || n > most {
		return 0
	}
	return int32((uint64(n)*1_000_000 + uint64(most) - 1) / uint64(most))
}

func joules(v value[uint64]) uint64 {
	if !v.ok {
		return schemas.Absent64
	}
	return v.v / 1000
}

func celsius(v value[uint32]) int16 {
	if !v.ok || v.v > math.MaxInt16 {
		return schemas.Absent16
	}
	return int16(v.v)
}

package oracle

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

const (
	maxInt64        = math.MaxInt64
	maxAmount       = maxInt64 - 1 // the greatest value of a column of whole numbers
	defaultInterval = 10_000       // ms
)

// A device is one GPU of one node.
type device struct{ node, gpu string }

// A series is what is sampled: a GPU, or a slice of it.
type series struct {
	device
	slice string
}

// A sample is one reading. What was not reported is Absent.
type sample struct {
	ts                             int64 // ms
	model                          string
	interval                       int64 // ms, Absent = the default
	utilization, smActive          int64 // ppm
	tensorActive, dramActive       int64 // ppm
	memoryUsed, memoryTotal        int64 // bytes
	power, energy, temperatureCels int64 // mW, J, °C
}

func (in *input) addSample(line []byte) error {
	f := parseObject(line)
	key := series{device{f.requiredText("node"), f.requiredText("gpu")}, f.text("slice")}
	s := sample{
		ts: f.requiredTime("ts"), model: in.same(f.text("gpu_model")),
		interval:    f.amount("interval_seconds", 3, math.MaxUint32),
		utilization: f.fraction("utilization"), smActive: f.fraction("sm_active"),
		tensorActive: f.fraction("tensor_active"), dramActive: f.fraction("dram_active"),
		memoryUsed: f.amount("memory_used_bytes", 0, maxAmount), memoryTotal: f.amount("memory_total_bytes", 0, maxAmount),
		power: f.amount("power_watts", 3, math.MaxUint32-1), energy: f.amount("energy_joules", 0, maxAmount),
		temperatureCels: f.temperature("temperature_celsius"),
	}
	if s.interval == 0 {
		s.interval = 1
	}
	in.checkTime(f, s.ts)
	if f.err != nil {
		return f.err
	}
	in.accepted(s.ts)
	key = series{device{in.same(key.node), in.same(key.gpu)}, in.same(key.slice)}
	in.samples[key] = append(in.samples[key], s)
	return nil
}

// span is how far the sample speaks at most: three intervals.
func (s *sample) span() int64 {
	if s.interval == Absent {
		return 3 * defaultInterval
	}
	return 3 * s.interval
}

// load is the part of the device in use, in ppm: sm_active where reported, else
// utilization.
func (s *sample) load() int64 {
	if s.smActive != Absent {
		return s.smActive
	}
	return s.utilization
}

// compare orders the samples of a series by time and, at one instant, by their
// fields in the contract's order.
func (s *sample) compare(o *sample) int {
	return cmp.Or(
		cmp.Compare(s.ts, o.ts), strings.Compare(s.model, o.model), cmp.Compare(s.interval, o.interval),
		cmp.Compare(s.utilization, o.utilization), cmp.Compare(s.smActive, o.smActive),
		cmp.Compare(s.tensorActive, o.tensorActive), cmp.Compare(s.dramActive, o.dramActive),
		cmp.Compare(s.memoryUsed, o.memoryUsed), cmp.Compare(s.memoryTotal, o.memoryTotal),
		cmp.Compare(s.power, o.power), cmp.Compare(s.energy, o.energy), cmp.Compare(s.temperatureCels, o.temperatureCels))
}

// samplesBefore sorts each series, drops what the horizon has not passed, and
// keeps the greatest of the samples of one instant (rule 6).
func samplesBefore(all map[series][]sample, horizon int64) map[series][]sample {
	for key, list := range all {
		slices.SortFunc(list, func(a, b sample) int { return a.compare(&b) })
		kept := list[:0]
		for i, s := range list {
			isLastOfInstant := i+1 == len(list) || list[i+1].ts != s.ts
			if s.ts < horizon && isLastOfInstant {
				kept = append(kept, s)
			}
		}
		all[key] = kept
	}
	return all
}

//go:build cgo && linux

package nvml

import (
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

// counters are the activity counters (GPM, Hopper and newer) of a device or GPU
// instance: activity is the quotient of two samples of them.
type counters struct {
	last, next gonvml.GpmSample
	taken      time.Time // when last was; zero = not yet
}

// newCounters allocates both samples, nil if the library cannot.
func newCounters(l *library) *counters {
	last, ret := l.GpmSampleAlloc()
	if ret != gonvml.SUCCESS {
		return nil
	}
	next, ret := l.GpmSampleAlloc()
	if ret != gonvml.SUCCESS {
		_ = last.Free()
		return nil
	}
	return &counters{last: last, next: next}
}

func (c *counters) free() {
	if c != nil {
		_, _ = c.last.Free(), c.next.Free()
	}
}

// readActivity says what happened since the previous reading of p. It says
// nothing the first time, nor when the previous one is too far back for the
// mean to be of this sample, or too near for the driver's counters.
func (d *device) readActivity(p *part, r *reading) {
	if p.counters == nil {
		if p.counters = newCounters(d.lib); p.counters == nil {
			return
		}
	}
	c, now := p.counters, time.Now()
	since := now.Sub(c.taken)
	if !c.taken.IsZero() && since < gpmGap {
		return
	}
	take := func() (struct{}, gonvml.Return) {
		if p.uuid != "" {
			return struct{}{}, c.next.MigGet(d.whole.handle, p.instance)
		}
		return struct{}{}, c.next.Get(p.handle)
	}
	if !ask(d, true, take).ok {
		return
	}
	fresh := !c.taken.IsZero() && since <= d.reach
	c.last, c.next, c.taken = c.next, c.last, now
	if fresh {
		d.readMetrics(c.next, c.last, r)
	}
}

// readMetrics computes the activity between two samples.
func (d *device) readMetrics(from, to gonvml.GpmSample, r *reading) {
	into := []struct {
		metric gonvml.GpmMetricId
		to     *value[float64]
	}{
		{gonvml.GPM_METRIC_SM_UTIL, &r.sm},
		{gonvml.GPM_METRIC_ANY_TENSOR_UTIL, &r.tensor},
		{gonvml.GPM_METRIC_DRAM_BW_UTIL, &r.dram},
	}
	get := &gonvml.GpmMetricsGetType{NumMetrics: uint32(len(into)), Sample1: from, Sample2: to}
	for i, m := range into {
		get.Metrics[i].MetricId = uint32(m.metric)
	}
	ret := d.lib.GpmMetricsGet(get)
	d.judge(ret)
	if ret != gonvml.SUCCESS {
		return
	}
	for i, m := range into {
		*m.to = value[float64]{get.Metrics[i].Value, gonvml.Return(get.Metrics[i].NvmlReturn) == gonvml.SUCCESS}
	}
}

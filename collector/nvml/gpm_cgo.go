//go:build cgo && linux

package nvml

/*
#include <dlfcn.h>
#include <stdlib.h>

// As nvml.h has them; metrics_t is the whole table, since a driver may write all
// of it.
typedef struct {
	unsigned int id;
	int ret;
	double value;
	char *names[3];
} metric_t;

typedef struct {
	unsigned int version, count;
	void *from, *to;
	metric_t metrics[477];
} metrics_t;

enum { VERSION = 1, SM_UTIL = 2, ANY_TENSOR_UTIL = 5, DRAM_BW_UTIL = 10 };

typedef struct {
	int ret, rets[3];
	double value[3];
} activity_t;

static activity_t activity(void *get, void *from, void *to)
{
	metrics_t m = {.version = VERSION, .count = 3, .from = from, .to = to};
	m.metrics[0].id = SM_UTIL;
	m.metrics[1].id = ANY_TENSOR_UTIL;
	m.metrics[2].id = DRAM_BW_UTIL;
	activity_t a = {.ret = ((int (*)(metrics_t *))get)(&m)};
	for (int i = 0; i < 3; i++) {
		a.rets[i] = m.metrics[i].ret;
		a.value[i] = m.metrics[i].value;
	}
	return a;
}
*/
import "C"

import (
	"reflect"
	"time"
	"unsafe"

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

// readMetrics computes the activity between two samples. It does not go by
// go-nvml, whose call copies a table of 19 KB four times and has the runtime look
// at each of its 1,431 pointers: that was a third of what the agent needs, and
// most of its garbage.
func (d *device) readMetrics(from, to gonvml.GpmSample, r *reading) {
	got := C.activity(d.lib.metricsGet, handleOf(from), handleOf(to))
	ret := gonvml.Return(got.ret)
	d.judge(ret)
	if ret != gonvml.SUCCESS {
		return
	}
	for i, v := range []*value[float64]{&r.sm, &r.tensor, &r.dram} {
		*v = value[float64]{float64(got.value[i]), gonvml.Return(got.rets[i]) == gonvml.SUCCESS}
	}
}

// handleOf is the C library's pointer in a sample, which go-nvml exports as a
// field of a type that it does not.
func handleOf(s gonvml.GpmSample) unsafe.Pointer {
	return reflect.ValueOf(s).FieldByName("Handle").UnsafePointer()
}

// metricsGet finds nvmlGpmMetricsGet in the library that is loaded, nil if the
// driver has none.
func metricsGet() unsafe.Pointer {
	name := C.CString("nvmlGpmMetricsGet")
	defer C.free(unsafe.Pointer(name))
	return C.dlsym(nil, name) // the default scope: the library is loaded into it
}

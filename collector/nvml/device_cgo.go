//go:build cgo && linux

package nvml

import (
	"fmt"
	"time"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

// A device is one GPU behind its handle.
type device struct {
	lib        *library
	uuid, name string
	reach      time.Duration // how far back a sample speaks
	gpm        bool          // the device has activity counters

	whole   part
	slices  []part
	mig     bool
	stale   bool  // the MIG instances are to be looked up again
	failure error // of the reading under way
}

// A part is what has a handle of its own: a device or a MIG instance of it.
type part struct {
	handle   gonvml.Device
	uuid     string // of the MIG instance, empty for the device
	instance int    // GPU instance that the MIG instance lies in
	share    int32  // of the device, ppm; 0 = not known
	shared   bool   // with another MIG instance, or not known
	counters *counters
}

func (d *device) id() string    { return d.uuid }
func (d *device) model() string { return d.name }

func (d *device) read(processes bool) ([]reading, error) {
	d.failure = nil
	if processes || d.stale {
		d.findSlices()
	}
	out := make([]reading, 0, 1+len(d.slices))
	out = append(out, d.readPart(&d.whole, processes && !d.mig))
	if d.mig && processes {
		out[0].processes = said[[]process](nil) // the instances list them
	}
	for i := range d.slices {
		if d.failure != nil {
			break
		}
		out = append(out, d.readPart(&d.slices[i], processes))
	}
	if d.failure != nil {
		return nil, d.failure
	}
	return out, nil
}

// readPart asks p everything that the library has a call for.
func (d *device) readPart(p *part, processes bool) reading {
	r := reading{slice: p.uuid, share: p.share}
	have, whole := d.lib.calls, p.uuid == ""
	d.readMemory(p, &r)
	if d.failure != nil {
		return r // a lost device is not asked ten times
	}
	if whole {
		if !d.mig {
			u := ask(d, have.utilization, p.handle.GetUtilizationRates)
			r.utilization = value[uint32]{u.v.Gpu, u.ok}
		}
		r.power = ask(d, have.power, p.handle.GetPowerUsage)
		r.energy = ask(d, have.energy, p.handle.GetTotalEnergyConsumption)
		r.temperature = ask(d, have.temperature, func() (uint32, gonvml.Return) {
			return p.handle.GetTemperature(gonvml.TEMPERATURE_GPU)
		})
	}
	if d.gpm && !p.shared && (whole || have.gpmMIG) {
		d.readActivity(p, &r)
	}
	if processes {
		r.processes = d.listProcesses(p)
	}
	return r
}

// readMemory prefers the call that keeps apart what the driver reserves for
// itself: hundreds of megabytes that no process holds.
func (d *device) readMemory(p *part, r *reading) {
	if m := ask(d, d.lib.memory2, p.handle.GetMemoryInfo_v2); m.ok {
		r.memoryUsed, r.memoryTotal = said(m.v.Used), said(m.v.Total)
		return
	}
	if m := ask(d, d.lib.memory, p.handle.GetMemoryInfo); m.ok {
		r.memoryUsed, r.memoryTotal = said(m.v.Used), said(m.v.Total)
	}
}

func (d *device) listProcesses(p *part) value[[]process] {
	infos := ask(d, d.lib.processes, p.handle.GetComputeRunningProcesses)
	if !infos.ok {
		return value[[]process]{}
	}
	list := make([]process, 0, len(infos.v))
	for _, i := range infos.v {
		if i.Pid != 0 { // 0 is a process of another pid namespace
			list = append(list, process{int(i.Pid), i.UsedGpuMemory})
		}
	}
	return said(list)
}

// ask makes one call if the library has it. Any refusal is "not said"; what
// concerns the whole device is kept for the end of the reading.
func ask[T any](d *device, have bool, call func() (T, gonvml.Return)) value[T] {
	if !have || d.failure != nil {
		return value[T]{}
	}
	v, ret := call()
	d.judge(ret)
	return value[T]{v, ret == gonvml.SUCCESS}
}

func (d *device) judge(ret gonvml.Return) {
	switch ret {
	case gonvml.ERROR_GPU_IS_LOST, gonvml.ERROR_RESET_REQUIRED, gonvml.ERROR_GPU_NOT_FOUND:
		d.failure = fmt.Errorf("%w: %w", errLost, ret)
	case gonvml.ERROR_UNINITIALIZED, gonvml.ERROR_DRIVER_NOT_LOADED:
		d.failure = ret
	case gonvml.ERROR_INVALID_ARGUMENT, gonvml.ERROR_NOT_FOUND:
		d.stale = true // a handle of a MIG instance that is no more
	}
}

// findSlices looks up the MIG instances, which may come and go at any time;
// those that stay keep their counters.
func (d *device) findSlices() {
	before := d.slices
	d.slices, d.stale = nil, false
	if d.mig = d.migMode(); d.mig {
		most, _ := d.whole.handle.GetMaxMigDeviceCount()
		for i := range most {
			if p, ok := d.slice(i, most); ok {
				d.slices = append(d.slices, p)
			}
		}
	}
	for i := range d.slices {
		d.slices[i].shared = d.slices[i].shared || d.holders(d.slices[i].instance) > 1
	}
	d.keepCounters(before)
}

func (d *device) migMode() bool {
	if !d.lib.mig {
		return false
	}
	current, _, ret := d.whole.handle.GetMigMode()
	d.judge(ret)
	return ret == gonvml.SUCCESS && current == gonvml.DEVICE_MIG_ENABLE
}

// slice is the MIG instance of that index, of a device that has room for most.
func (d *device) slice(index, most int) (part, bool) {
	handle, ret := d.whole.handle.GetMigDeviceHandleByIndex(index)
	if ret != gonvml.SUCCESS {
		return part{}, false // not every index is taken
	}
	uuid, ret := handle.GetUUID()
	if ret != gonvml.SUCCESS || uuid == "" {
		return part{}, false
	}
	instance, ret := handle.GetGpuInstanceId()
	p := part{handle: handle, uuid: uuid, instance: instance, shared: ret != gonvml.SUCCESS}
	if a := ask(d, d.lib.attributes, handle.GetAttributes); a.ok {
		p.share = shareOf(a.v.ComputeInstanceSliceCount, uint32(most))
	}
	return p, true
}

func (d *device) holders(instance int) (n int) {
	for _, s := range d.slices {
		if s.instance == instance {
			n++
		}
	}
	return n
}

func (d *device) keepCounters(before []part) {
	for _, old := range before {
		kept := false
		for i := range d.slices {
			if s := &d.slices[i]; s.uuid == old.uuid && s.instance == old.instance {
				s.counters, kept = old.counters, true
			}
		}
		if !kept {
			old.counters.free()
		}
	}
}

// free returns what the library allocated.
func (d *device) free() {
	d.whole.counters.free()
	for _, s := range d.slices {
		s.counters.free()
	}
}

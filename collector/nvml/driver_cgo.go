//go:build cgo && linux

package nvml

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"unsafe"

	gonvml "github.com/NVIDIA/go-nvml/pkg/nvml"
)

// A library is libnvidia-ml, initialised. Calling what the driver does not
// export, or anything after a failed Init, kills the process: so nothing is
// called that calls does not have.
type library struct {
	gonvml.Interface
	calls
	metricsGet unsafe.Pointer // nvmlGpmMetricsGet
	devices    []gpu
}

// calls says which calls the driver exports. They came with drivers from 2013
// (utilisation) to 2022 (GPM).
type calls struct {
	utilization, power, energy, temperature, processes bool
	memory, memory2                                    bool
	mig, attributes                                    bool
	gpm, gpmMIG                                        bool
}

// openDriver loads and initialises the library and finds the devices. It takes
// as long as the driver does.
func openDriver(cfg Config, log *slog.Logger) (driver, error) {
	var options []gonvml.LibraryOption
	if cfg.Library != "" {
		options = append(options, gonvml.WithLibraryPath(cfg.Library))
	}
	l := &library{Interface: gonvml.New(options...)}
	if ret := l.Init(); ret != gonvml.SUCCESS {
		return nil, initError(cfg, ret)
	}
	if !l.exports("nvmlDeviceGetCount_v2", "nvmlDeviceGetCount") ||
		!l.exports("nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex") || !l.exports("nvmlDeviceGetUUID") {
		return nil, errors.Join(errors.New("nvml: the library lacks the calls that name GPUs: it is not NVIDIA's, or older than any driver that is supported"), l.shutdown())
	}
	l.calls = l.find()
	if l.metricsGet = metricsGet(); l.metricsGet == nil {
		l.gpm = false
	}
	if err := l.enumerate(cfg, log); err != nil {
		return nil, errors.Join(err, l.shutdown())
	}
	return l, nil
}

func initError(cfg Config, ret gonvml.Return) error {
	library, advice := cmp.Or(cfg.Library, "libnvidia-ml.so.1"), "run nvidia-smi on this node: it fails likewise"
	switch ret {
	case gonvml.ERROR_LIBRARY_NOT_FOUND:
		advice = "install the NVIDIA driver; in a container, use the NVIDIA runtime or mount the library and name it with source.nvml.library"
	case gonvml.ERROR_DRIVER_NOT_LOADED:
		advice = "load the kernel module (modprobe nvidia)"
	case gonvml.ERROR_LIB_RM_VERSION_MISMATCH:
		advice = "library and kernel module are of different versions: reboot after the driver's update"
	case gonvml.ERROR_NO_PERMISSION:
		advice = "let this user open /dev/nvidiactl and /dev/nvidia*"
	}
	return fmt.Errorf("nvml: initialise %s: %w: %s", library, ret, advice)
}

// exports tells whether the library has any of the symbols.
func (l *library) exports(symbols ...string) bool {
	for _, s := range symbols {
		if l.Extensions().LookupSymbol(s) == nil {
			return true
		}
	}
	return false
}

func (l *library) find() calls {
	return calls{
		utilization: l.exports("nvmlDeviceGetUtilizationRates"),
		power:       l.exports("nvmlDeviceGetPowerUsage"),
		energy:      l.exports("nvmlDeviceGetTotalEnergyConsumption"),
		temperature: l.exports("nvmlDeviceGetTemperature"),
		memory:      l.exports("nvmlDeviceGetMemoryInfo"),
		memory2:     l.exports("nvmlDeviceGetMemoryInfo_v2"),
		processes: l.exports("nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2",
			"nvmlDeviceGetComputeRunningProcesses"),
		mig: l.exports("nvmlDeviceGetMigMode") && l.exports("nvmlDeviceGetMaxMigDeviceCount") &&
			l.exports("nvmlDeviceGetMigDeviceHandleByIndex") && l.exports("nvmlDeviceGetGpuInstanceId"),
		attributes: l.exports("nvmlDeviceGetAttributes_v2", "nvmlDeviceGetAttributes"),
		gpm: l.exports("nvmlGpmQueryDeviceSupport") && l.exports("nvmlGpmSampleAlloc") && l.exports("nvmlGpmSampleFree") &&
			l.exports("nvmlGpmSampleGet"),
		gpmMIG: l.exports("nvmlGpmMigSampleGet"),
	}
}

// enumerate finds the devices. One that cannot be named is left out, and said:
// it would be a resource of fewer GPUs than are paid for.
func (l *library) enumerate(cfg Config, log *slog.Logger) error {
	n, ret := l.DeviceGetCount()
	if ret != gonvml.SUCCESS {
		return fmt.Errorf("nvml: count the GPUs: %w", ret)
	}
	for i := range n {
		d, err := l.device(i, cfg)
		if err != nil {
			log.Error("a GPU is left out: the price of the node is divided among the others; mend it and start again", "index", i, "of", n, "error", err)
			continue
		}
		l.devices = append(l.devices, d)
	}
	if len(l.devices) == 0 {
		return fmt.Errorf("nvml: none of %d GPUs can be used: run this source on GPU nodes only, and nvidia-smi to see what is wrong", n)
	}
	return nil
}

func (l *library) device(index int, cfg Config) (*device, error) {
	handle, ret := l.DeviceGetHandleByIndex(index)
	if ret != gonvml.SUCCESS {
		return nil, fmt.Errorf("open: %w", ret)
	}
	uuid, ret := handle.GetUUID()
	if ret != gonvml.SUCCESS || uuid == "" {
		return nil, fmt.Errorf("uuid: %w", ret)
	}
	d := &device{lib: l, uuid: uuid, stale: true, reach: 3 * cfg.Interval, whole: part{handle: handle}}
	if l.exports("nvmlDeviceGetName") {
		d.name, _ = handle.GetName() // a GPU without a name is still a GPU
	}
	if l.gpm {
		support, ret := handle.GpmQueryDeviceSupport()
		d.gpm = ret == gonvml.SUCCESS && support.IsSupportedDevice != 0
	}
	return d, nil
}

func (l *library) gpus() []gpu { return l.devices }

func (l *library) close() {
	for _, g := range l.devices {
		g.(*device).free()
	}
	_ = l.shutdown() // the process is about to forget the library anyway
}

func (l *library) shutdown() error {
	if ret := l.Shutdown(); ret != gonvml.SUCCESS {
		return fmt.Errorf("nvml: shut down: %w", ret)
	}
	return nil
}

//go:build cgo && linux

package nvml

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/collector/owners"
	"github.com/gpumeter/gpumeter/schemas"
)

// quick is a configuration for tests on a busy machine.
func quick() Config {
	cfg := testConfig()
	cfg.Interval, cfg.Timeout, cfg.Processes = 300*time.Millisecond, 200*time.Millisecond, 300*time.Millisecond
	return cfg
}

// hopper is the script of n devices that say everything.
func hopper(n int) []string {
	script := []string{
		fmt.Sprintf("all gpus %d", n), "all name NVIDIA H100 80GB HBM3", "all util 65", "all total 85899345920", "all reserved 500000000",
		"all used 4294967296", "all power 433780", "all energy 123456789", "all temp 53", "all gpm 1", "all sm 41.5", "all tensor 20.25",
		"all dram 9", "all mig 0", "all pidmem 1073741824",
	}
	for i := range n {
		script = append(script, fmt.Sprintf("%d uuid GPU-%d", i, i))
	}
	return script
}

func TestEightGPUs(t *testing.T) {
	a := startAgent(t, fakeLibrary(t), quick(), hopper(8)...)
	resource := a.next("resource", func(r row) bool { return r.Resource != nil }).Resource
	if len(resource.GPUs) != 8 || !slices.IsSorted(resource.GPUs) || resource.Model != "NVIDIA H100 80GB HBM3" {
		t.Errorf("resource %+v", resource)
	}
	first := a.sample("GPU-0", "")
	if first.SMActive != schemas.Absent32 {
		t.Error("activity needs two samples of the counters, and there is but one")
	}
	got := a.sample("GPU-0", "")
	want := absentSample(series{"n1", "GPU-0", "NVIDIA H100 80GB HBM3", 300}, "", got.TS)
	want.MemoryTotal, want.MemoryUsed, want.Utilization = 85899345920, 4294967296, 650_000
	want.SMActive, want.TensorActive, want.DRAMActive = 415_000, 202_500, 90_000
	want.Power, want.Energy, want.Temperature = 433_780, 123_456, 53
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for i := 1; i < 8; i++ {
		if s := a.sample(fmt.Sprint("GPU-", i), ""); s.TS != got.TS || s.TS%300 != 0 {
			t.Errorf("GPU-%d is sampled at %d, GPU-0 at %d", i, s.TS, got.TS)
		}
	}
}

func TestNotSupportedIsAbsentAndZeroIsZero(t *testing.T) {
	a := startAgent(t, fakeLibrary(t), quick(), "all gpus 1", "0 uuid GPU-0", "0 util 0", "0 power !3", "0 temp !999", "0 gpm 0")
	got := a.sample("GPU-0", "")
	want := absentSample(series{"n1", "GPU-0", "", 300}, "", got.TS)
	want.Utilization = 0
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestMIG(t *testing.T) {
	script := append(hopper(1),
		// Were it asked, the device would give a utilisation that nobody may read.
		"0 mig 1", "0 slices 3", "0.0 uuid MIG-a", "0.1 uuid MIG-b", "0.2 uuid MIG-c", "0.0 gi 2", "0.1 gi 3", "0.2 gi 3",
		"all.0 total 42412802048", "all.0 used 27262976", "all.0 sm 12.5", "all.0 tensor 0", "all.0 dram 1", "all.1 total 1000", "all.1 used 10",
		"all.2 total 1000", "all.2 used 20", "0.0 pids 41,42", "0.0 pidmem 2407530496", "0.1 pids 43",
		"0.0 compute 3", "0.1 compute 1", "0.2 compute 1",
	)
	a := startAgent(t, fakeLibrary(t), quick(), script...)
	device := a.sample("GPU-0", "")
	if device.Utilization != schemas.Absent32 || device.Power != 433_780 || device.Energy != 123_456 {
		t.Errorf("the device in MIG mode: %+v", device)
	}
	a.sample("GPU-0", "MIG-a")
	got := a.sample("GPU-0", "MIG-a")
	want := absentSample(series{"n1", "GPU-0", "NVIDIA H100 80GB HBM3", 300}, "MIG-a", got.TS)
	want.MemoryTotal, want.MemoryUsed, want.SMActive, want.TensorActive, want.DRAMActive = 42412802048, 27262976, 125_000, 0, 10_000
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	for slice, used := range map[string]uint64{"MIG-b": 10, "MIG-c": 20} {
		if s := a.sample("GPU-0", slice); s.MemoryUsed != used || s.SMActive != schemas.Absent32 {
			t.Errorf("%s shares a GPU instance: its counters are of both: %+v", slice, s)
		}
		a.sample("GPU-0", "")
	}
	held := a.next("holds", func(r row) bool { return r.Held != nil }).Held
	if want := []owners.Held{
		{GPU: "GPU-0", Slice: "MIG-a", Share: 428_572, PID: 41},
		{GPU: "GPU-0", Slice: "MIG-a", Share: 428_572, PID: 42},
		{GPU: "GPU-0", Slice: "MIG-b", Share: 142_858, PID: 43},
	}; !slices.Equal(held, want) {
		t.Errorf("owners are told %+v, want %+v", held, want)
	}
	p := a.next("process", func(r row) bool { return r.Process != nil && r.Process.PID == 43 }).Process
	if p.Slice != "MIG-b" || p.MemoryUsed != schemas.Absent64 {
		t.Errorf("the memory of a process that is not available is absent: %+v", p)
	}
	p = a.next("process", func(r row) bool { return r.Process != nil && r.Process.PID == 42 }).Process
	if p.Slice != "MIG-a" || p.MemoryUsed != 2407530496 || p.SMUtilization != schemas.Absent32 {
		t.Errorf("process %+v", p)
	}
}

func TestMIGInstancesComeAndGo(t *testing.T) {
	script := append(hopper(1), "0 mig 1", "0 slices 2", "0.0 uuid MIG-a", "0.1 uuid MIG-b", "0.0 gi 1", "0.1 gi 2", "all.0 used 1", "all.0 total 9", "all.1 used 2", "all.1 total 9", "all.0 sm 5", "all.1 sm 6")
	a := startAgent(t, fakeLibrary(t), quick(), script...)
	a.sample("GPU-0", "MIG-b")
	a.say("0 slices 1")
	for gone := 0; gone < 3; { // rounds without MIG-b
		switch a.next("sample", func(r row) bool { return r.Sample != nil && r.Sample.Slice != "" }).Sample.Slice {
		case "MIG-b":
			gone = 0
		default:
			gone++
		}
	}
	if s := a.sample("GPU-0", "MIG-a"); s.SMActive != 50_000 {
		t.Errorf("the instance that stayed lost its counters: %+v", s)
	}
	a.say("0 slices 2", "0.1 uuid MIG-d")
	a.sample("GPU-0", "MIG-d")
	a.say("0 mig 0")
	a.next("utilisation", func(r row) bool { return r.Sample != nil && r.Sample.Utilization == 650_000 })
}

func TestHangInTheDriver(t *testing.T) {
	a := startAgent(t, fakeLibrary(t), quick(), hopper(3)...)
	a.sample("GPU-1", "")
	a.say("1 hang 1")
	// Three rounds of the others without GPU-1: the call may have been under way.
	for seen := 0; seen < 3; {
		switch r := a.next("sample", func(r row) bool { return r.Sample != nil && r.Sample.GPU != "GPU-0" }); r.Sample.GPU {
		case "GPU-1":
			seen = 0
		default:
			seen++
		}
	}
	a.next("log", func(row) bool { return a.logs.count("why=hung") > 0 })
	if a.logs.count("why=hung") != 1 {
		t.Errorf("not said once:\n%s", a.logs.String())
	}
	a.say("1 hang 0")
	a.sample("GPU-1", "")
}

func TestStopWhileTheDriverHangs(t *testing.T) {
	a := startAgent(t, fakeLibrary(t), quick(), hopper(2)...)
	a.sample("GPU-1", "")
	a.say("1 hang 1")
	a.next("log", func(row) bool { return a.logs.count("why=hung") == 1 })
	began := time.Now()
	a.stop()
	if took := time.Since(began); took > stopWithin+5*time.Second {
		t.Errorf("the stop took %v", took)
	}
}

func TestLostAndBack(t *testing.T) {
	a := startAgent(t, fakeLibrary(t), quick(), hopper(2)...)
	a.sample("GPU-1", "")
	a.say("1 lost 1")
	a.next("log", func(row) bool { return a.logs.count("why=lost") == 1 })
	for range 3 {
		a.sample("GPU-0", "")
	}
	if n := a.logs.count("GPU-1"); n != 1 {
		t.Errorf("%d lines about a lost GPU:\n%s", n, a.logs.String())
	}
	a.say("1 lost 0")
	a.sample("GPU-1", "")
}

// A driver of 2016 has no energy counter, no GPM, no MIG, and other structs.
func TestOldDriver(t *testing.T) {
	a := startAgent(t, fakeLibrary(t, "-DOLD_DRIVER"), quick(), append(hopper(1), "0 pids 9")...)
	a.sample("GPU-0", "")
	got := a.sample("GPU-0", "")
	want := absentSample(series{"n1", "GPU-0", "NVIDIA H100 80GB HBM3", 300}, "", got.TS)
	want.MemoryTotal, want.MemoryUsed, want.Utilization, want.Power, want.Temperature = 85899345920, 4794967296, 650_000, 433_780, 53
	if got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	if p := a.next("process", func(r row) bool { return r.Process != nil }).Process; p.PID != 9 || p.MemoryUsed != 1073741824 {
		t.Errorf("process %+v", p)
	}
}

func TestGPUThatCannotBeOpenedIsLeftOut(t *testing.T) {
	a := startAgent(t, fakeLibrary(t), quick(), append(hopper(3), "1 handle !15")...)
	resource := a.next("resource", func(r row) bool { return r.Resource != nil }).Resource
	if !slices.Equal(resource.GPUs, []string{"GPU-0", "GPU-2"}) {
		t.Errorf("resource %+v", resource)
	}
	a.sample("GPU-2", "")
	a.next("log", func(row) bool { return a.logs.count("index=1") == 1 }) // it comes on a way of its own
}

func TestNoDriverIsSaid(t *testing.T) {
	lib := fakeLibrary(t)
	if out := refused(t, lib+".gone", quick()); !strings.Contains(out, "install the NVIDIA driver") {
		t.Errorf("no library: %s", out)
	}
	if out := refused(t, lib, quick(), "all init !9"); !strings.Contains(out, "Driver Not Loaded") || !strings.Contains(out, "modprobe") {
		t.Errorf("no kernel module: %s", out)
	}
	if out := refused(t, lib, quick(), "all gpus 0"); !strings.Contains(out, "GPU nodes only") {
		t.Errorf("no GPU: %s", out)
	}
}

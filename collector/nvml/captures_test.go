//go:build cgo && linux

package nvml

import (
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// The captures go through the fake library and the real binding; what comes out
// must be the line of the input contract that a person would write from the
// capture: N/A left out, everything else in its unit.

func TestCapturesOfNvidiaSMI(t *testing.T) {
	dir := captures(t)
	for _, file := range []string{"a100-sxm4-v12.xml", "a10g.xml", "rtx-3080-v13.xml", "tesla-t4.xml"} {
		t.Run(file, func(t *testing.T) {
			checkCapture(t, fromXML(t, readCapture(t, filepath.Join(dir, file))))
		})
	}
	for _, file := range []string{"capture_linux-x86_64__nvidia-h100-mig__590.48.01.txt", "capture_linux-x86_64__nvidia-l40s__595.80.txt"} {
		for _, section := range []string{"idle", "load"} {
			t.Run(file+"/"+section, func(t *testing.T) {
				checkCapture(t, []captured{fromText(t, readCapture(t, filepath.Join(dir, file)), section)})
			})
		}
	}
}

func TestCaptureOfDCGM(t *testing.T) {
	checkCapture(t, fromDCGM(t, readCapture(t, filepath.Join(captures(t), "dcgm_exporter_h100_node.prom"))))
}

// What the captures say of MIG, so that a reader of them that finds nothing
// cannot pass for one that finds N/A.
func TestCapturesOfMIGHaveNoUtilisation(t *testing.T) {
	dir := captures(t)
	a100 := fromXML(t, readCapture(t, filepath.Join(dir, "a100-sxm4-v12.xml")))
	h100 := fromText(t, readCapture(t, filepath.Join(dir, "capture_linux-x86_64__nvidia-h100-mig__590.48.01.txt")), "load")
	for _, c := range append(a100, h100) {
		if c.mig != "Enabled" || c.util != "N/A" || len(c.slices) != 4 || c.power == "" || c.total == "" {
			t.Errorf("%+v", c)
		}
	}
	if n := len(h100.pids()[".0"]); n != 3 {
		t.Errorf("%d processes on the first instance of the loaded H100, want 3", n)
	}
}

// checkCapture runs the source over GPUs like the captured ones.
func checkCapture(t *testing.T, gpus []captured) {
	t.Helper()
	if len(gpus) == 0 {
		t.Fatal("nothing was read")
	}
	script := []string{fmt.Sprintf("all gpus %d", len(gpus))}
	for i, c := range gpus {
		script = append(script, c.script(t, i)...)
	}
	a := startAgent(t, fakeLibrary(t), quick(), script...)
	for _, c := range gpus {
		got := a.sample(c.uuid, "")
		if want := c.line(t, got.TS, "", c.util, c.total, c.used, c.power, c.celsius); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		for _, s := range c.slices {
			got := a.sample(c.uuid, s.uuid())
			if want := c.line(t, got.TS, s.uuid(), "", s.Total, s.Used, "", ""); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		}
		for at, pids := range c.pids() {
			for _, pid := range pids {
				want, _ := strconv.ParseInt(pid, 10, 64)
				p := a.next("process "+pid, func(r row) bool { return r.Process != nil && r.Process.PID == want }).Process
				if p.GPU != c.uuid || (at != "") != (p.Slice != "") {
					t.Errorf("process %+v", p)
				}
			}
		}
	}
}

// line is the sample as the input contract's own parser reads it.
func (c captured) line(t *testing.T, ts int64, slice, util, total, used, power, celsius string) (s contract.Sample) {
	t.Helper()
	fields := []string{
		fmt.Sprintf(`"ts": %d, "node": "n1", "gpu": %q, "slice": %q, "gpu_model": %q, "interval_seconds": 0.3`, ts, c.uuid, slice, c.name),
	}
	put := func(name, text, unit, shift string) {
		if v, ok := amount(t, text, unit); ok {
			fields = append(fields, fmt.Sprintf("%q: %s%s", name, v, shift))
		}
	}
	put("utilization", util, "%", "e-2")
	put("power_watts", power, "W", "")
	put("temperature_celsius", celsius, "C", "")
	for name, text := range map[string]string{"memory_total_bytes": total, "memory_used_bytes": used} {
		if v, ok := scaled(t, text, "MiB", 1<<20); ok {
			fields = append(fields, fmt.Sprintf("%q: %s", name, v))
		}
	}
	var p contract.Parser
	if err := p.Sample([]byte("{"+strings.Join(fields, ", ")+"}"), &s); err != nil {
		t.Fatal(err)
	}
	// The contract has no N/A but absence.
	if _, reported := amount(t, util, "%"); reported == (s.Utilization == schemas.Absent32) || s.SMActive != math.MaxUint32 {
		t.Fatalf("the capture's utilisation %q became %d", util, s.Utilization)
	}
	return s
}

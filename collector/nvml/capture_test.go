//go:build cgo && linux

package nvml

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// What NVIDIA's own tools recorded on real machines, read for the tests only:
// nvidia-smi -q as XML and as text, and a scrape of dcgm-exporter. Values are
// kept as they are written there ("67.03 W", "N/A").

// A captured is one GPU of a capture.
type captured struct {
	uuid, name, mig                             string
	util, total, used, reserved, power, celsius string
	slices                                      []capturedSlice
	processes                                   []capturedProcess
}

type capturedSlice struct {
	GI       string `xml:"gpu_instance_id"`
	CI       string `xml:"compute_instance_id"`
	Total    string `xml:"fb_memory_usage>total"`
	Used     string `xml:"fb_memory_usage>used"`
	Reserved string `xml:"fb_memory_usage>reserved"`
}

type capturedProcess struct {
	GI   string `xml:"gpu_instance_id"`
	PID  string `xml:"pid"`
	Type string `xml:"type"` // C, G or both
	Used string `xml:"used_memory"`
}

// captures is the directory of the recorded files, which are not part of the
// project.
func captures(t *testing.T) string {
	t.Helper()
	shared := os.Getenv("GPUMETER_SHARED")
	if shared == "" {
		shared = "../../../shared"
	}
	dir := filepath.Join(shared, "data", "nvml")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no captures: set GPUMETER_SHARED to the directory that holds data/nvml")
	}
	return dir
}

func readCapture(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// fromXML reads nvidia-smi -q -x.
func fromXML(t *testing.T, text string) (all []captured) {
	t.Helper()
	var log struct {
		GPUs []struct {
			UUID      string            `xml:"uuid"`
			Name      string            `xml:"product_name"`
			MIG       string            `xml:"mig_mode>current_mig"`
			Util      string            `xml:"utilization>gpu_util"`
			Total     string            `xml:"fb_memory_usage>total"`
			Used      string            `xml:"fb_memory_usage>used"`
			Reserved  string            `xml:"fb_memory_usage>reserved"`
			Celsius   string            `xml:"temperature>gpu_temp"`
			Power     string            `xml:"power_readings>power_draw"` // of three generations of the schema
			Power12   string            `xml:"gpu_power_readings>power_draw"`
			Power13   string            `xml:"gpu_power_readings>average_power_draw"`
			Slices    []capturedSlice   `xml:"mig_devices>mig_device"`
			Processes []capturedProcess `xml:"processes>process_info"`
		} `xml:"gpu"`
	}
	if err := xml.Unmarshal([]byte(text), &log); err != nil {
		t.Fatal(err)
	}
	for _, g := range log.GPUs {
		all = append(all, captured{
			uuid: g.UUID, name: g.Name, mig: g.MIG, util: g.Util, total: g.Total, used: g.Used, reserved: g.Reserved,
			power: g.Power + g.Power12 + g.Power13, celsius: g.Celsius, slices: g.Slices, processes: g.Processes,
		})
	}
	return all
}

// fromText reads the section of nvidia-smi -q under that title, of one GPU.
func fromText(t *testing.T, text, title string) (c captured) {
	t.Helper()
	_, section, ok := strings.Cut(text, "# "+title+" :: query (-q)\n")
	if !ok {
		t.Fatalf("no section %q", title)
	}
	section, _, _ = strings.Cut(section, "\n# "+title+" :: query-gpu")
	var path []string
	var indents []int
	for s := bufio.NewScanner(strings.NewReader(section)); s.Scan(); {
		key, v, _ := strings.Cut(s.Text(), " : ")
		indent := len(key) - len(strings.TrimLeft(key, " "))
		for len(indents) > 0 && indents[len(indents)-1] >= indent {
			path, indents = path[:len(path)-1], indents[:len(indents)-1]
		}
		path, indents = append(path, strings.TrimSpace(key)), append(indents, indent)
		if len(path) > 1 {
			c.set(strings.Join(path[1:], "/"), strings.TrimSpace(v))
		}
	}
	return c
}

func (c *captured) set(path, v string) {
	slice := func() *capturedSlice { return &c.slices[len(c.slices)-1] }
	proc := func() *capturedProcess { return &c.processes[len(c.processes)-1] }
	switch path {
	case "GPU UUID":
		c.uuid = v
	case "Product Name":
		c.name = v
	case "MIG Mode/Current":
		c.mig = v
	case "MIG Device/GPU Instance ID":
		c.slices = append(c.slices, capturedSlice{GI: v})
	case "MIG Device/Compute Instance ID":
		slice().CI = v
	case "MIG Device/Shared FB Memory Usage/Total":
		slice().Total = v
	case "MIG Device/Shared FB Memory Usage/Used":
		slice().Used = v
	case "FB Memory Usage/Total":
		c.total = v
	case "FB Memory Usage/Reserved":
		c.reserved = v
	case "FB Memory Usage/Used":
		c.used = v
	case "Utilization/GPU":
		c.util = v
	case "Temperature/GPU Current Temp":
		c.celsius = v
	case "GPU Power Readings/Average Power Draw":
		c.power = v
	case "Processes/GPU instance ID":
		c.processes = append(c.processes, capturedProcess{GI: v})
	case "Processes/Process ID":
		proc().PID = v
	case "Processes/Process ID/Type":
		proc().Type = v
	case "Processes/Process ID/Used GPU Memory":
		proc().Used = v
	}
}

// fromDCGM reads a scrape of dcgm-exporter.
func fromDCGM(t *testing.T, text string) (all []captured) {
	t.Helper()
	line := regexp.MustCompile(`^(DCGM_\w+)\{.*UUID="([^"]+)".*modelName="([^"]+)".*\} (\S+)$`)
	at := map[string]int{}
	for row := range strings.Lines(text) {
		m := line.FindStringSubmatch(strings.TrimSpace(row))
		if m == nil {
			continue
		}
		i, ok := at[m[2]]
		if !ok {
			i = len(all)
			at[m[2]] = i
			all = append(all, captured{uuid: m[2], name: m[3]})
		}
		switch m[1] {
		case "DCGM_FI_DEV_GPU_UTIL":
			all[i].util = m[4] + " %"
		case "DCGM_FI_DEV_POWER_USAGE":
			all[i].power = m[4] + " W"
		case "DCGM_FI_DEV_GPU_TEMP":
			all[i].celsius = m[4] + " C"
		}
	}
	return all
}

// amount is the number of a value with that unit; ok is false for N/A.
func amount(t *testing.T, text, unit string) (v string, ok bool) {
	t.Helper()
	if text == "" || text == "N/A" {
		return "", false
	}
	v, ok = strings.CutSuffix(text, " "+unit)
	if !ok {
		t.Fatalf("%q is not in %s", text, unit)
	}
	return v, true
}

// scaled is amount times factor, as a whole number.
func scaled(t *testing.T, text, unit string, factor float64) (string, bool) {
	t.Helper()
	v, ok := amount(t, text, unit)
	if !ok {
		return "", false
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.FormatFloat(f*factor, 'f', 0, 64), true
}

// slices are named by their ids: the captures mask or lack the UUIDs.
func (s capturedSlice) uuid() string { return fmt.Sprintf("MIG-%s-%s", s.GI, s.CI) }

// compute tells a process that NVML lists as a compute process.
func (p capturedProcess) compute() bool { return strings.Contains(p.Type, "C") }

// script is what the fake library is to say for GPU number i to be c.
func (c captured) script(t *testing.T, i int) (lines []string) {
	t.Helper()
	say := func(who, key, v string, ok bool) {
		if ok {
			lines = append(lines, who+" "+key+" "+v)
		}
	}
	put := func(who, key, text, unit string, factor float64) {
		v, ok := scaled(t, text, unit, factor)
		say(who, key, v, ok)
	}
	who := strconv.Itoa(i)
	say(who, "uuid", c.uuid, true)
	say(who, "name", c.name, true)
	put(who, "util", c.util, "%", 1)
	put(who, "total", c.total, "MiB", 1<<20)
	put(who, "used", c.used, "MiB", 1<<20)
	put(who, "reserved", c.reserved, "MiB", 1<<20)
	put(who, "power", c.power, "W", 1000)
	put(who, "temp", c.celsius, "C", 1)
	say(who, "mig", "1", c.mig == "Enabled")
	say(who, "slices", strconv.Itoa(len(c.slices)), len(c.slices) > 0)
	for k, s := range c.slices {
		slice := who + "." + strconv.Itoa(k)
		say(slice, "uuid", s.uuid(), true)
		say(slice, "gi", s.GI, true)
		put(slice, "total", s.Total, "MiB", 1<<20)
		put(slice, "used", s.Used, "MiB", 1<<20)
	}
	for at, pids := range c.pids() {
		say(who+at, "pids", strings.Join(pids, ","), true)
	}
	return lines
}

// pids gives the compute processes by ".index" of the slice that they are on.
func (c captured) pids() map[string][]string {
	pids := map[string][]string{}
	for _, p := range c.processes {
		at := ""
		for k, s := range c.slices {
			if s.GI == p.GI {
				at = "." + strconv.Itoa(k)
			}
		}
		if p.compute() {
			pids[at] = append(pids[at], p.PID)
		}
	}
	return pids
}

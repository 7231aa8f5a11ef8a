package reference

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// snippets are the blocks of Python on the page, in order: samples, cost, the rest.
func snippets(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile(pagePath)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```python\n(.*?)```").FindAllSubmatch(page, -1)
	if len(blocks) != 3 {
		t.Fatalf("%d blocks of Python in %s, want 3", len(blocks), pagePath)
	}
	return []string{string(blocks[0][1]), string(blocks[1][1]), string(blocks[2][1])}
}

// runPython runs a snippet on rec and gives what its last expression, JSON, says.
func runPython(t *testing.T, snippet, expression string, rec *kgo.Record, got any) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err == nil {
		err = exec.Command(python, "-c", "import pyarrow.compute").Run()
	}
	if err != nil {
		t.Skipf("the page's Python is not run: no python3 with pyarrow: %v", err)
	}
	headers := map[string][]byte{}
	for _, h := range rec.Headers {
		headers[h.Key] = h.Value
	}
	input, err := json.Marshal(map[string]any{"value": rec.Value, "headers": headers})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "record.json")
	if err := os.WriteFile(path, input, 0o600); err != nil {
		t.Fatal(err)
	}
	program := "import sys, json, base64\nrecord = json.load(open(sys.argv[1]))\n" +
		"value = base64.b64decode(record['value'])\nheaders = {k: base64.b64decode(v) for k, v in record['headers'].items()}\n" +
		snippet + "\nprint(json.dumps(" + expression + "))\n"
	cmd := exec.Command(python, "-c", program, path)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the page's Python fails: %v", err)
	}
	if err := json.Unmarshal(out, got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
}

// sampleRow is a row as the page's Python gives it: null where not reported.
type sampleRow struct {
	GPU         int      `json:"series"`
	TS          int64    `json:"ts"`
	Utilization *float64 `json:"utilization"`
	SM          *float64 `json:"sm_active"`
	Memory      *float64 `json:"memory_used_bytes"`
	Power       *float64 `json:"power"`
	Energy      *float64 `json:"energy_joules"`
	Temperature *float64 `json:"temperature_celsius"`
}

func pythonSamples() *schemas.Samples {
	const a16, a32, a64 = schemas.Absent16, schemas.Absent32, schemas.Absent64
	return &schemas.Samples{
		Node: "n", Series: []schemas.Series{
			{GPU: "GPU-60c1c2a5-cdac-7c81-98d5-1dca6cd38354", Model: "H100", Interval: 1000, MemoryTotal: 80 << 30},
			{GPU: "GPU-2eb69142-a9d1-b333-171b-584cf23d545e", Slice: "MIG-1", Model: "H100", Interval: 1000, MemoryTotal: a64},
		},
		Index: []uint16{0, 0, 0, 1, 1}, TS: []int64{1780275600000, 1780275601003, 1780275602001, 1780275600000, 1780275610000},
		Utilization: []uint32{990_000, a32, 0, 1_000_000, 10_000}, SMActive: []uint32{123_456, 1, 999_999, a32, a32}, TensorActive: []uint32{a32, a32, a32, a32, a32},
		DRAMActive: []uint32{5, 4, 3, 2, 1}, MemoryUsed: []uint64{1 << 30, a64, 0, 1, 2}, Power: []uint32{700_000, 650_100, 699_999, 90_000, 80_000},
		Energy: []uint64{1e9, 1e9 + 651, 1e9 + 1350, 17, 900}, Temperature: []int16{60, 61, a16, -3, 40},
	}
}

// reported compares a column of samples with what Python read.
func reported[T uint32 | uint64 | int16](t *testing.T, column string, row int, got *float64, want, absent T) {
	t.Helper()
	if (want == absent) != (got == nil) || (got != nil && *got != float64(want)) {
		t.Errorf("row %d: %s is %v in Python, want %d (absent is %d)", row, column, got, want, absent)
	}
}

func TestPythonReadsSamples(t *testing.T) {
	snippet := snippets(t)[0]
	for name, change := range map[string]func(*schemas.Samples){
		"all power known": func(*schemas.Samples) {},
		"power not known": func(s *schemas.Samples) { s.Power[1] = schemas.Absent32 },
		"energy not known": func(s *schemas.Samples) {
			s.Energy[0], s.Energy[4], s.Series[1].GPU = schemas.Absent64, schemas.Absent64, "MIG-of-a-name"
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := pythonSamples()
			change(s)
			var enc wire.SampleEncoder
			rec, err := enc.Encode(s)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Rows   []sampleRow
				Models []string
				Total  []*float64
			}
			runPython(t, snippet, `{"rows": samples.set_column(1, "ts", instants).to_pylist(), "models": series["gpu_model"].to_pylist(), "total": series["memory_total_bytes"].to_pylist()}`, rec, &got)
			if len(got.Rows) != s.Len() || len(got.Models) != 2 || got.Models[0] != "H100" || got.Total[1] != nil {
				t.Fatalf("Python read %+v", got)
			}
			for i, r := range got.Rows {
				if r.GPU != int(s.Index[i]) || r.TS != s.TS[i] {
					t.Errorf("row %d is of series %d at %d in Python, want %d at %d", i, r.GPU, r.TS, s.Index[i], s.TS[i])
				}
				reported(t, "utilization", i, r.Utilization, s.Utilization[i], schemas.Absent32)
				reported(t, "sm_active", i, r.SM, s.SMActive[i], schemas.Absent32)
				reported(t, "memory_used_bytes", i, r.Memory, s.MemoryUsed[i], schemas.Absent64)
				reported(t, "power", i, r.Power, s.Power[i], schemas.Absent32)
				reported(t, "energy_joules", i, r.Energy, s.Energy[i], schemas.Absent64)
				reported(t, "temperature_celsius", i, r.Temperature, s.Temperature[i], schemas.Absent16)
			}
		})
	}
}

func TestPythonReadsCost(t *testing.T) {
	rec, err := new(wire.CostEncoder).Encode(oneFact())
	if err != nil {
		t.Fatal(err)
	}
	var got []struct {
		Node string   `json:"node"`
		Cost int64    `json:"list_cost"`
		SM   *float64 `json:"sm_active_avg"`
		Runs []uint32 `json:"runs"`
	}
	runPython(t, snippets(t)[1], "facts.to_pylist()", rec, &got)
	if len(got) != 1 || got[0].Node != "n1" || got[0].Cost != -7 || got[0].SM != nil || len(got[0].Runs) != 2 || got[0].Runs[1] != 60_000 {
		t.Errorf("Python read %+v", got)
	}
}

// oneFact is one row of cost.
func oneFact() *schemas.Costs {
	text := func(v string) schemas.Text { return schemas.Text{Index: []uint32{0}, Dict: []string{v}} }
	none, n64, u8 := text(""), []int64{0}, []uint8{1}
	return &schemas.Costs{
		Cluster: none, Node: text("n1"), Resource: none, Provider: none, Region: none, SKU: none, GPU: none, Model: none,
		Window: n64, Finality: u8, Restated: u8, WindowStart: n64, WindowEnd: n64, Slice: none, Allocation: none, User: none, Name: none,
		Namespace: none, Team: none, Project: none, CostCenter: none, Environment: none, AIModel: none, ModelVersion: none, Phase: none,
		Labels: none, State: u8, Attribution: u8, GPUMs: n64, UsedGPUMs: n64, Utilization: []uint32{1}, SMActive: []uint32{schemas.Absent32},
		MemoryMax: []uint64{1}, Energy: []uint64{1}, Currency: none, ListCost: []int64{-7}, EffectiveCost: n64, UsedCost: n64, WasteCost: n64,
		PriceID: none, PriceStatus: u8, PositionFrom: []uint32{0}, PositionTo: []uint32{1_000_000}, RunsEnd: []uint32{2}, Runs: []uint32{0, 60_000},
	}
}

func TestPythonReadsEvents(t *testing.T) {
	rec, err := wire.Encode("a", []schemas.Allocation{{TS: 5, Event: "start", Allocation: "a", HasGPUs: true, GPUs: []schemas.GPURef{{Node: "n", GPU: "g", Share: 7}}}})
	if err != nil {
		t.Fatal(err)
	}
	var got []struct {
		Allocation string `json:"allocation"`
		GPUs       []struct {
			GPU   string `json:"gpu"`
			Share int32  `json:"share"`
		} `json:"gpus"`
	}
	runPython(t, snippets(t)[2], "events.to_pylist()", rec, &got)
	if len(got) != 1 || got[0].Allocation != "a" || len(got[0].GPUs) != 1 || got[0].GPUs[0].Share != 7 {
		t.Errorf("Python read %+v", got)
	}
}

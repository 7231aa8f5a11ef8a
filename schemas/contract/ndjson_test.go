package contract_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

const at = 1_780_275_600_000 // 2026-06-01T01:00:00Z

// emptySample is the sample of a line that reports nothing.
func emptySample() contract.Sample {
	return contract.Sample{
		Node: "n1", Series: schemas.Series{GPU: "g0", MemoryTotal: schemas.Absent64}, TS: at,
		Utilization: schemas.Absent32, SMActive: schemas.Absent32, TensorActive: schemas.Absent32, DRAMActive: schemas.Absent32,
		MemoryUsed: schemas.Absent64, Power: schemas.Absent32, Energy: schemas.Absent64, Temperature: schemas.Absent16,
	}
}

func TestSample(t *testing.T) {
	for _, c := range []struct {
		name, fields string // beside ts, node and gpu
		change       func(*contract.Sample)
	}{
		{"nothing reported", ``, func(*contract.Sample) {}},
		{"null is nothing", `,"utilization":null,"power_watts":null,"slice":null,"interval_seconds":null,"temperature_celsius":null`, func(*contract.Sample) {}},
		{"zero is not nothing", `,"utilization":0,"power_watts":0.0,"memory_used_bytes":0,"energy_joules":0,"temperature_celsius":-0`, func(s *contract.Sample) {
			s.Utilization, s.Power, s.MemoryUsed, s.Energy, s.Temperature = 0, 0, 0, 0, 0
		}},
		{"fractions in millionths", `,"utilization":0.93,"sm_active":1e-3,"tensor_active":0.0000005,"dram_active":1.0`, func(s *contract.Sample) {
			s.Utilization, s.SMActive, s.TensorActive, s.DRAMActive = 930_000, 1000, 1, 1_000_000
		}},
		{"units", `,"power_watts":251.3375,"energy_joules":12.5,"temperature_celsius":61.4,"memory_used_bytes":38654705664,"memory_total_bytes":48305799168`, func(s *contract.Sample) {
			s.Power, s.Energy, s.Temperature, s.MemoryUsed, s.MemoryTotal = 251_338, 13, 61, 38_654_705_664, 48_305_799_168
		}},
		{"identity", `,"slice":"m1","gpu_model":"NVIDIA A40","interval_seconds":2.5`, func(s *contract.Sample) {
			s.Slice, s.Model, s.Interval = "m1", "NVIDIA A40", 2500
		}},
		{"an interval is at least a millisecond", `,"interval_seconds":0`, func(s *contract.Sample) { s.Interval = 1 }},
		{"the last of a repeated field counts", `,"utilization":0.5,"utilization":0.25`, func(s *contract.Sample) { s.Utilization = 250_000 }},
		{"escapes", `,"slice":"\u00fc\ud83d\ude00\n\"\/"`, func(s *contract.Sample) { s.Slice = "ü😀\n\"/" }},
		{"colder than ice", `,"temperature_celsius":-3.5`, func(s *contract.Sample) { s.Temperature = -3 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := emptySample()
			c.change(&want)
			var p contract.Parser
			var got contract.Sample
			line := ` { "ts" : 1780275600000 ,"node":"n1","gpu":"g0"` + c.fields + "}\t"
			if err := p.Sample([]byte(line), &got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestTime(t *testing.T) {
	for text, want := range map[string]int64{
		`1780275600000`:                        at,
		`1.7802756e12`:                         at,
		`1780275600000.9`:                      at, // finer fractions are cut off
		`"2026-06-01T01:00:00Z"`:               at,
		`"2026-06-01T03:00:00+02:00"`:          at,
		`"2026-05-31T20:30:00-04:30"`:          at,
		`"2026-06-01T01:00:00.0019999Z"`:       at + 1,
		`"2026-06-01T01:00:00.1234567890123Z"`: at + 123,
		`"1969-12-31T23:59:59.9991Z"`:          -1,
		`-0.5`:                                 -1,
		`0`:                                    0,
		`"2100-01-01T00:00:00Z"`:               4_102_444_800_000, // the processor judges it
		`"9999-12-31T23:59:59.999Z"`:           253_402_300_799_999,
	} {
		var p contract.Parser
		var s contract.Sample
		if err := p.Sample([]byte(`{"node":"n1","gpu":"g0","ts":`+text+`}`), &s); err != nil || s.TS != want {
			t.Errorf("%s is %d (%v), want %d", text, s.TS, err, want)
		}
	}
	for _, text := range []string{`"yesterday"`, `"2026-06-01"`, `"2026-06-01 01:00:00"`, `"2026-02-30T00:00:00Z"`, `"2026-06-01T01:00:00"`, `"1780275600000"`, `1e18`, `true`, `null`, `[1]`, `""`} {
		var p contract.Parser
		var s contract.Sample
		refused(t, p.Sample([]byte(`{"node":"n1","gpu":"g0","ts":`+text+`}`), &s), schemas.ReasonBadTime, "ts")
	}
}

func TestSampleRefuses(t *testing.T) {
	for _, c := range []struct{ line, reason, field string }{
		{`{"ts":1,"node":"n1"}`, schemas.ReasonBadField, "gpu"},
		{`{"ts":1,"node":"","gpu":"g0"}`, schemas.ReasonBadField, "node"},
		{`{"ts":1,"node":7,"gpu":"g0"}`, schemas.ReasonBadField, "node"},
		{`{"node":"n1","gpu":"g0"}`, schemas.ReasonBadTime, "ts"},
		{`{"ts":1,"node":"n1","gpu":"g0","utilization":93}`, schemas.ReasonBadNumber, "utilization"},
		{`{"ts":1,"node":"n1","gpu":"g0","utilization":1.0000001}`, schemas.ReasonBadNumber, "utilization"},
		{`{"ts":1,"node":"n1","gpu":"g0","utilization":-0.0000001}`, schemas.ReasonBadNumber, "utilization"},
		{`{"ts":1,"node":"n1","gpu":"g0","utilization":"0.5"}`, schemas.ReasonBadNumber, "utilization"},
		{`{"ts":1,"node":"n1","gpu":"g0","power_watts":-1}`, schemas.ReasonBadNumber, "power_watts"},
		{`{"ts":1,"node":"n1","gpu":"g0","power_watts":4294967.295}`, schemas.ReasonBadNumber, "power_watts"},
		{`{"ts":1,"node":"n1","gpu":"g0","memory_used_bytes":-1}`, schemas.ReasonBadNumber, "memory_used_bytes"},
		{`{"ts":1,"node":"n1","gpu":"g0","memory_used_bytes":1e19}`, schemas.ReasonBadNumber, "memory_used_bytes"},
		{`{"ts":1,"node":"n1","gpu":"g0","interval_seconds":-10}`, schemas.ReasonBadNumber, "interval_seconds"},
		{`{"ts":1,"node":"n1","gpu":"g0","temperature_celsius":40000}`, schemas.ReasonBadNumber, "temperature_celsius"},
		{`{"ts":1,"node":"n1","gpu":"g0","utilization":NaN}`, schemas.ReasonBadJSON, ""},
		{`{"ts":1,"node":"n1","gpu":"g0","utilization":.5}`, schemas.ReasonBadJSON, ""},
		{`{"ts":1,"node":"n1","gpu":"g0"`, schemas.ReasonBadJSON, ""},
		{`{"ts":1,"node":"n1","gpu":"g0",}`, schemas.ReasonBadJSON, ""},
		{`{"ts":1,"node":"n1","gpu":"g0"} {}`, schemas.ReasonBadJSON, ""},
		{`{"ts":1,"node":"n1","gpu":"\ud800"}`, schemas.ReasonBadJSON, ""},
		{`{"ts":1,"node":"n1","gpu":"g` + "\xff" + `"}`, schemas.ReasonBadJSON, ""},
		{`{"ts":1,"node":"n1","gpu":"g` + "\t" + `"}`, schemas.ReasonBadJSON, ""},
		{`{"ts":1,"node":"n1","gpu":"g0","x":` + strings.Repeat("[", 200) + `}`, schemas.ReasonBadJSON, ""},
		{`[]`, schemas.ReasonBadJSON, ""},
		{`null`, schemas.ReasonBadJSON, ""},
		{`samples`, schemas.ReasonBadJSON, ""},
	} {
		var p contract.Parser
		var s contract.Sample
		refused(t, p.Sample([]byte(c.line), &s), c.reason, c.field)
	}
}

func TestProcess(t *testing.T) {
	var p contract.Parser
	var got schemas.Process
	err := p.Process([]byte(`{"ts":1780275600000,"node":"n1","gpu":"g0","slice":"m1","pid":4711,"allocation":"a","sm_utilization":0.5,"memory_used_bytes":1e9}`), &got)
	want := schemas.Process{TS: at, Node: "n1", GPU: "g0", Slice: "m1", PID: 4711, Allocation: "a", SMUtilization: 500_000, MemoryUsed: 1_000_000_000}
	if err != nil || got != want {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	refused(t, p.Process([]byte(`{"ts":1,"node":"n1","gpu":"g0"}`), &got), schemas.ReasonBadField, "pid")
	refused(t, p.Process([]byte(`{"ts":1,"node":"n1","gpu":"g0","pid":1.5}`), &got), schemas.ReasonBadNumber, "pid")
	refused(t, p.Process([]byte(`{"ts":1,"node":"n1","gpu":"g0","pid":1,"sm_utilization":2}`), &got), schemas.ReasonBadNumber, "sm_utilization")
}

func TestAllocation(t *testing.T) {
	plain := schemas.Allocation{TS: at, Event: "start", Allocation: "a", ReqGPUs: -1, ReqWalltime: -1}
	for _, c := range []struct {
		name, fields string // beside ts, event and allocation
		change       func(*schemas.Allocation)
	}{
		{"nothing but the event", ``, func(*schemas.Allocation) {}},
		{"null is not named", `,"gpus":null,"labels":null,"requested":null,"command":null,"submitted_at":null,"state":null`, func(*schemas.Allocation) {}},
		{"an empty list gives all GPUs back", `,"gpus":[],"labels":{}`, func(a *schemas.Allocation) { a.HasGPUs, a.HasLabels = true, true }},
		{
			"gpus are sorted", `,"gpus":[{"node":"n2","gpu":"g0"},{"node":"n1","gpu":"g1","share":0.5},{"gpu":"g0","node":"n1","slice":"m1","share":0.4285715},{"node":"n1","gpu":"g1","share":0.25}]`,
			func(a *schemas.Allocation) {
				a.HasGPUs = true
				a.GPUs = []schemas.GPURef{{Node: "n1", GPU: "g0", Slice: "m1", Share: 428_572}, {Node: "n1", GPU: "g1", Share: 250_000}, {Node: "n1", GPU: "g1", Share: 500_000}, {Node: "n2", GPU: "g0"}}
			},
		},
		{"labels are texts", `,"labels":{"team":"red","priority":1.50,"spot":true,"none":null,"team":"blue"}`, func(a *schemas.Allocation) {
			a.HasLabels = true
			a.Labels = []schemas.Label{{Key: "priority", Value: "1.50"}, {Key: "spot", Value: "true"}, {Key: "team", Value: "blue"}}
		}},
		{
			"the rest", `,"user":"u","name":"job","namespace":"ns","image":"i","command":["python","train.py","--lr",0.1],"requested":{"gpus":8,"walltime_seconds":3600},"submitted_at":"2026-06-01T00:00:00Z","state":"failed"`,
			func(a *schemas.Allocation) {
				a.User, a.Name, a.Namespace, a.Image, a.State = "u", "job", "ns", "i", "failed"
				a.Command, a.ReqGPUs, a.ReqWalltime, a.SubmittedAt = []string{"python", "train.py", "--lr", "0.1"}, 8, 3600, at-3_600_000
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := plain
			c.change(&want)
			var p contract.Parser
			var got schemas.Allocation
			if err := p.Allocation([]byte(`{"ts":1780275600000,"event":"start","allocation":"a"`+c.fields+`}`), &got); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestAllocationRefuses(t *testing.T) {
	for _, c := range []struct{ fields, reason, field string }{
		{`"event":"begin","allocation":"a"`, schemas.ReasonUnknownEvent, "event"},
		{`"allocation":"a"`, schemas.ReasonUnknownEvent, "event"},
		{`"event":"end"`, schemas.ReasonBadField, "allocation"},
		{`"event":"end","allocation":"a","state":"done"`, schemas.ReasonBadField, "state"},
		{`"event":"end","allocation":"a","submitted_at":0`, schemas.ReasonBadTime, "submitted_at"},
		{`"event":"start","allocation":"a","gpus":"g0"`, schemas.ReasonBadField, "gpus"},
		{`"event":"start","allocation":"a","gpus":["g0"]`, schemas.ReasonBadField, "gpus"},
		{`"event":"start","allocation":"a","gpus":[{"gpu":"g0"}]`, schemas.ReasonBadField, "gpus.node"},
		{`"event":"start","allocation":"a","gpus":[{"node":"n1"}]`, schemas.ReasonBadField, "gpus.gpu"},
		{`"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","share":1.5}]`, schemas.ReasonBadShare, "gpus.share"},
		{`"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","share":1.0000000001}]`, schemas.ReasonBadShare, "gpus.share"},
		{`"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","share":0}]`, schemas.ReasonBadShare, "gpus.share"},
		{`"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","share":-0.5}]`, schemas.ReasonBadShare, "gpus.share"},
		{`"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","share":1e-9}]`, schemas.ReasonBadShare, "gpus.share"},
		{`"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","share":"half"}]`, schemas.ReasonBadShare, "gpus.share"},
		{`"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","slice":"m1"}]`, schemas.ReasonBadShare, "gpus.share"},
		{`"event":"start","allocation":"a","labels":{"team":["red"]}`, schemas.ReasonBadField, "labels"},
		{`"event":"start","allocation":"a","labels":["team"]`, schemas.ReasonBadField, "labels"},
		{`"event":"start","allocation":"a","command":"python"`, schemas.ReasonBadField, "command"},
		{`"event":"start","allocation":"a","requested":{"gpus":-1}`, schemas.ReasonBadNumber, "requested.gpus"},
	} {
		var p contract.Parser
		var a schemas.Allocation
		refused(t, p.Allocation([]byte(`{"ts":1780275600000,`+c.fields+`}`), &a), c.reason, c.field)
	}
}

func TestResource(t *testing.T) {
	var p contract.Parser
	var got schemas.Resource
	err := p.Resource([]byte(`{"node":"n1","resource":"r1","cluster":"c","provider":"aws","region":"eu","sku":"x","gpu_model":"A40","gpus":["g1","g0"],"from":1780275600000,"to":"2026-06-01T02:00:00Z","pricing_category":"spot","scheduler":true,"idle_watts":62.5}`), &got)
	want := schemas.Resource{
		Node: "n1", Resource: "r1", Cluster: "c", Provider: "aws", Region: "eu", SKU: "x", Model: "A40", GPUs: []string{"g0", "g1"},
		From: at, To: at + 3_600_000, PricingCategory: "spot", Scheduler: true, IdleWatts: 62_500,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v (%v)\nwant %+v", got, err, want)
	}
	err = p.Resource([]byte(`{"node":"n1","resource":"r1","provider":"p","gpus":["g0"],"from":1780275600000}`), &got)
	want = schemas.Resource{Node: "n1", Resource: "r1", Provider: "p", GPUs: []string{"g0"}, From: at, PricingCategory: "on_demand", IdleWatts: schemas.Absent32}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("defaults: got  %+v (%v)\nwant %+v", got, err, want)
	}
}

func TestResourceRefuses(t *testing.T) {
	const ids = `"node":"n1","resource":"r1","provider":"p"`
	for _, c := range []struct{ fields, reason, field string }{
		{ids + `,"from":1`, schemas.ReasonBadField, "gpus"},
		{ids + `,"from":1,"gpus":[]`, schemas.ReasonBadField, "gpus"},
		{ids + `,"from":1,"gpus":["g0","g1","g0"]`, schemas.ReasonBadField, "gpus"},
		{ids + `,"from":1,"gpus":["g0",""]`, schemas.ReasonBadField, "gpus"},
		{ids + `,"from":1,"gpus":["g0",1]`, schemas.ReasonBadField, "gpus"},
		{ids + `,"gpus":["g0"]`, schemas.ReasonBadTime, "from"},
		{ids + `,"from":1,"to":0,"gpus":["g0"]`, schemas.ReasonBadTime, "to"},
		{ids + `,"from":1,"gpus":["g0"],"pricing_category":"free"`, schemas.ReasonBadField, "pricing_category"},
		{ids + `,"from":1,"gpus":["g0"],"scheduler":"yes"`, schemas.ReasonBadField, "scheduler"},
		{ids + `,"from":1,"gpus":["g0"],"idle_watts":-1`, schemas.ReasonBadNumber, "idle_watts"},
		{`"node":"n1","resource":"r1","from":1,"gpus":["g0"]`, schemas.ReasonBadField, "provider"},
	} {
		var p contract.Parser
		var r schemas.Resource
		refused(t, p.Resource([]byte(`{`+c.fields+`}`), &r), c.reason, c.field)
	}
}

func TestUnknownFieldsAreIgnoredAndTold(t *testing.T) {
	var p contract.Parser
	var a schemas.Allocation
	line := `{"ts":1,"event":"start","allocation":"a","qos":{"x":[1,{"y":"}"}]},"gpus":[{"node":"n","gpu":"g","bus":"0"}],"requested":{"cpus":4}}`
	if err := p.Allocation([]byte(line), &a); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(p.Ignored(), " "), "qos gpus.bus requested.cpus"; got != want {
		t.Errorf("ignored %s, want %s", got, want)
	}
	var s contract.Sample
	if err := p.Sample(sampleLine, &s); err != nil || len(p.Ignored()) != 0 {
		t.Errorf("the next line still ignores %v (%v)", p.Ignored(), err)
	}
}

func TestSampleAllocatesNothing(t *testing.T) {
	var p contract.Parser
	var s contract.Sample
	if n := testing.AllocsPerRun(100, func() { _ = p.Sample(sampleLine, &s) }); n != 0 {
		t.Errorf("%v allocations a line, want none", n)
	}
}

// refused makes sure of the reason and the field, and that the detail says something.
func refused(t *testing.T, err error, reason, field string) {
	t.Helper()
	var why *contract.Error
	if !errors.As(err, &why) {
		t.Errorf("error is %v, want %s of %q", err, reason, field)
		return
	}
	if why.Reason != reason || why.Field != field || why.Detail == "" {
		t.Errorf("refused by %v, want %s of %q", err, reason, field)
	}
}

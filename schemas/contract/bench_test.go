package contract_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

var sampleLine = []byte(`{"ts":1780275680000,"node":"a0532","gpu":"GPU-5c1ec1b0-7d2a-44f9-8a3c-0123456789ab","gpu_model":"NVIDIA A40","interval_seconds":10,"utilization":0.9312,"sm_active":0.41,"memory_used_bytes":38654705664,"memory_total_bytes":48305799168,"power_watts":251.337,"energy_joules":123456789.25,"temperature_celsius":61}`)

// BenchmarkSample says what a line costs, beside encoding/json into a struct
// that keeps numbers as text (and has yet to scale and check them).
func BenchmarkSample(b *testing.B) {
	b.Run("contract", func(b *testing.B) {
		var p contract.Parser
		var s contract.Sample
		b.ReportAllocs()
		b.SetBytes(int64(len(sampleLine)))
		for b.Loop() {
			if err := p.Sample(sampleLine, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(sampleLine)))
		for b.Loop() {
			var s jsonSample
			if err := json.Unmarshal(sampleLine, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}

type jsonSample struct {
	TS          json.Number `json:"ts"`
	Node        string      `json:"node"`
	GPU         string      `json:"gpu"`
	Slice       string      `json:"slice"`
	Model       string      `json:"gpu_model"`
	Interval    json.Number `json:"interval_seconds"`
	Utilization json.Number `json:"utilization"`
	SMActive    json.Number `json:"sm_active"`
	MemoryUsed  json.Number `json:"memory_used_bytes"`
	MemoryTotal json.Number `json:"memory_total_bytes"`
	Power       json.Number `json:"power_watts"`
	Energy      json.Number `json:"energy_joules"`
	Temperature json.Number `json:"temperature_celsius"`
}

// BenchmarkReader reads samples from a file in memory into batches: all that
// the collector does before it encodes.
func BenchmarkReader(b *testing.B) {
	file := contract.File{Name: "samples.ndjson", Stream: schemas.StreamSamples}
	text := bytes.Repeat(append(sampleLine, '\n'), 20_000)
	b.SetBytes(int64(len(text)))
	rows := 0
	for b.Loop() {
		var batch contract.Batch
		r := contract.NewReader(file, bytes.NewReader(text))
		for r.Next() == nil {
			batch.Add(&r.Sample)
		}
		rows += batch.Len()
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}

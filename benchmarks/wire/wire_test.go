// Package wire measures encoding and decoding of samples and cost facts.
package wire

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/gpumeter/gpumeter/benchmarks/node"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// cpu is the process's CPU time in nanoseconds: other work on the machine does
// not count.
func cpu(b *testing.B) int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// perRow runs fn in a loop and reports CPU time and bytes of value per row.
func perRow(b *testing.B, rows, size int, fn func() error) {
	b.ReportAllocs()
	start := cpu(b)
	for b.Loop() {
		if err := fn(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-start)/float64(b.N*rows), "cpu-ns/row")
	b.ReportMetric(float64(size)/float64(rows), "bytes/row")
}

func BenchmarkSamples(b *testing.B) {
	for _, rows := range []int{8, 80, 1000, 10_000} {
		var s, got schemas.Samples
		node.New(1).Fill(&s, 1_780_275_600_000, rows/node.GPUs)
		var enc wire.SampleEncoder
		var dec wire.SampleDecoder
		rec, err := enc.Encode(&s)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("encode/%d", rows), func(b *testing.B) {
			perRow(b, rows, len(rec.Value), func() error {
				_, err := enc.Encode(&s)
				return err
			})
		})
		b.Run(fmt.Sprintf("decode/%d", rows), func(b *testing.B) {
			perRow(b, rows, len(rec.Value), func() error { return dec.Decode(&got, rec) })
		})
	}
}

// costs makes n facts as a window's close brings them: one per GPU, of one
// price, two states in turn, some hundred allocations.
func costs(n int) *schemas.Costs {
	c := &schemas.Costs{}
	text := func(t *schemas.Text, v string) {
		for i, d := range t.Dict {
			if d == v {
				t.Index = append(t.Index, uint32(i))
				return
			}
		}
		t.Index = append(t.Index, uint32(len(t.Dict)))
		t.Dict = append(t.Dict, v)
	}
	const window, ms = 1_780_275_600_000, 60_000
	for i := range n {
		host, held := fmt.Sprintf("gpu-node-%04d", i/node.GPUs), i%2 == 0
		text(&c.Cluster, "main")
		text(&c.Node, host)
		text(&c.Resource, "i-"+host)
		text(&c.Provider, "aws")
		text(&c.Region, "eu-central-1")
		text(&c.SKU, "p5.48xlarge")
		text(&c.GPU, fmt.Sprintf("GPU-%08x-0000-4000-8000-%012x", i%64*7919, i%64))
		text(&c.Model, "NVIDIA H100 80GB HBM3")
		text(&c.Allocation, fmt.Sprintf("slurm-%d", i/64))
		for _, t := range []*schemas.Text{&c.User, &c.Name, &c.Namespace, &c.Team, &c.Project} {
			text(t, fmt.Sprintf("value-%d", i/256))
		}
		for _, t := range []*schemas.Text{&c.Slice, &c.CostCenter, &c.Environment, &c.AIModel, &c.ModelVersion, &c.Phase, &c.Labels} {
			text(t, "")
		}
		text(&c.Currency, "USD")
		text(&c.PriceID, "aws/eu-central-1/p5.48xlarge/on_demand@1767225600000/1767225600000")
		state, cost := schemas.StateActive, int64(98_320_000_000)*ms/3_600_000/node.GPUs
		if !held {
			state = schemas.StateIdle
		}
		c.Window, c.WindowStart, c.WindowEnd = append(c.Window, window), append(c.WindowStart, window), append(c.WindowEnd, window+ms)
		c.Finality, c.Restated, c.State = append(c.Finality, schemas.FinalityFinal), append(c.Restated, 0), append(c.State, state)
		c.Attribution, c.PriceStatus = append(c.Attribution, schemas.AttributionExclusive), append(c.PriceStatus, schemas.Priced)
		load := uint32(i * 7919 % 1_000_000)
		c.GPUMs, c.UsedGPUMs = append(c.GPUMs, ms), append(c.UsedGPUMs, int64(load)*ms/1_000_000)
		c.Utilization, c.SMActive = append(c.Utilization, load), append(c.SMActive, load)
		c.MemoryMax, c.Energy = append(c.MemoryMax, uint64(i%80)<<30), append(c.Energy, uint64(load)*42)
		c.ListCost, c.EffectiveCost = append(c.ListCost, cost), append(c.EffectiveCost, cost)
		c.UsedCost, c.WasteCost = append(c.UsedCost, cost*int64(load)/1_000_000), append(c.WasteCost, 0)
		x := uint32(i % node.GPUs * 1_000_000)
		c.PositionFrom, c.PositionTo = append(c.PositionFrom, x), append(c.PositionTo, x+1_000_000)
		c.Runs = append(c.Runs, 0, ms)
		c.RunsEnd = append(c.RunsEnd, uint32(len(c.Runs)))
	}
	return c
}

func BenchmarkCosts(b *testing.B) {
	for _, rows := range []int{100, 1000, 10_000} {
		c, got := costs(rows), schemas.Costs{}
		var enc wire.CostEncoder
		var dec wire.CostDecoder
		rec, err := enc.Encode(c)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("encode/%d", rows), func(b *testing.B) {
			perRow(b, rows, len(rec.Value), func() error {
				_, err := enc.Encode(c)
				return err
			})
		})
		b.Run(fmt.Sprintf("decode/%d", rows), func(b *testing.B) {
			perRow(b, rows, len(rec.Value), func() error { return dec.Decode(&got, rec) })
		})
	}
}

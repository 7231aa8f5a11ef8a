// Package wire measures encoding and decoding of samples and cost facts.
package wire

import (
	"fmt"
	"testing"

	"github.com/gpumeter/gpumeter/benchmarks/node"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

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
		perRow := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*rows), "ns/row")
			b.ReportAllocs()
		}
		b.Run(fmt.Sprintf("encode/%d", rows), func(b *testing.B) {
			for b.Loop() {
				if _, err := enc.Encode(&s); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b)
		})
		b.Run(fmt.Sprintf("decode/%d", rows), func(b *testing.B) {
			for b.Loop() {
				if err := dec.Decode(&got, rec); err != nil {
					b.Fatal(err)
				}
			}
			perRow(b)
		})
	}
}

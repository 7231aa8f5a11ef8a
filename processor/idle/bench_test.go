package idle_test

import (
	"fmt"
	"testing"

	"github.com/gpumeter/gpumeter/processor/idle"
	"github.com/gpumeter/gpumeter/schemas"
)

// A thousand idle allocations of eight GPUs at 1 Hz: the rows of one node a record.
func BenchmarkAdd(b *testing.B) {
	const jobs, gpus = 1000, 8
	d, err := idle.New(idle.Config{Default: idle.DefaultSettings()})
	if err != nil {
		b.Fatal(err)
	}
	rows := make([][]schemas.Activity, jobs)
	for j := range rows {
		for g := range gpus {
			rows[j] = append(rows[j], schemas.Activity{
				Allocation: fmt.Sprint("job-", j), Node: "n", GPU: fmt.Sprint("g", g), State: uint32(schemas.StateIdleHeld), Width: gpus,
				Held: start, Currency: "USD", Cost: 1_000_000, PerHour: 3_600_000_000, MemoryUsed: 40 << 30,
			})
		}
	}
	place := int64(0)
	for n := 0; b.Loop(); n++ {
		for j := range rows {
			for g := range rows[j] {
				rows[j][g].From, rows[j][g].To = start+int64(n)*second, start+int64(n+1)*second
			}
			place++
			d.Add(place, rows[j])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*jobs*gpus), "ns/row")
}

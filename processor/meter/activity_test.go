package meter

import (
	"fmt"
	"testing"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A talker says something of many allocations at its first Advance.
type talker struct {
	Engine
	partition uint32
	told      bool
}

const talked = 3*maxActivities + 7

func (k *talker) Advance(_ int64, _ bool, out engine.Output) {
	if out == nil || k.told {
		return
	}
	k.told = true
	rows := make([]schemas.Activity, 0, talked+1)
	for i := range talked {
		rows = append(rows, schemas.Activity{Allocation: fmt.Sprintf("job-%d", i%97), Engine: k.partition, From: int64(i), To: int64(i) + 1})
	}
	out.Activity(append(rows, schemas.Activity{Engine: k.partition, From: t0, To: t0}))
}

// An allocation's activity is in its partition alone and in order, from whatever
// engine it comes; every partition has the watermark of every engine behind what
// that engine said.
func TestActivityGoesToTheAllocationsPartition(t *testing.T) {
	c := newCluster(t)
	cfg := c.config("a")
	cfg.NewEngine = func(ec engine.Config) (Engine, error) {
		inner, err := newLedger(ec)
		return &talker{Engine: inner, partition: ec.Partition}, err
	}
	start(t, cfg)
	c.finish(t0)
	type source struct{ engine, partition uint32 }
	heard, marks, last := 0, map[source]bool{}, map[source]int64{}
	mine := map[int32]func(string) bool{}
	for n := range int32(testPartitions) {
		mine[n] = keyed(n, testPartitions)
	}
	for _, rec := range c.readAll(schemas.StreamActivity) {
		all, err := wire.Decode[schemas.Activity](nil, rec)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range all {
			from := source{r.Engine, uint32(rec.Partition)}
			if marks[from] {
				t.Fatalf("%+v comes behind the watermark", r)
			}
			if r.Allocation == "" {
				marks[from] = true
				continue
			}
			heard++
			if !mine[rec.Partition](r.Allocation) {
				t.Fatalf("%s is in partition %d", r.Allocation, rec.Partition)
			}
			if r.From < last[from] {
				t.Fatalf("%+v comes after %d", r, last[from])
			}
			last[from] = r.From
		}
	}
	if heard != testPartitions*talked || len(marks) != testPartitions*testPartitions {
		t.Errorf("%d rows and %d watermarks, want %d and %d", heard, len(marks), testPartitions*talked, testPartitions*testPartitions)
	}
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("gpu-%d", i))
	}
	return all
}

func resources(ctx context.Context, cl *kgo.Client, list ...schemas.Resource) error {
	rec, err := wire.Encode("", list)
	if err != nil {
		return err
	}
	return cl.ProduceSync(ctx, rec).FirstErr()
}

// live is a fleet with a sample of each GPU a second, until ctx ends.
func live(ctx context.Context, cl *kgo.Client, o options) error {
	var list []schemas.Resource
	for n := range o.nodes {
		node := fmt.Sprintf("node-%d", n)
		list = append(list, schemas.Resource{
			Node: node, Resource: node, Provider: "own", SKU: "x", GPUs: names(o.gpus), From: time.Now().UnixMilli(),
			PricingCategory: "owned", IdleWatts: schemas.Absent32,
		})
	}
	if err := resources(ctx, cl, list...); err != nil {
		return err
	}
	var enc wire.SampleEncoder
	for tick := time.NewTicker(time.Second); ; {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			for _, r := range list {
				rec, err := enc.Encode(reading(r.Node, r.GPUs, now.UnixMilli()))
				if err != nil {
					return err
				}
				cl.Produce(ctx, rec, nil)
			}
		}
	}
}

func reading(node string, gpus []string, ts int64) *schemas.Samples {
	b := &schemas.Samples{Node: node}
	for i, gpu := range gpus {
		b.Series = append(b.Series, schemas.Series{GPU: gpu, Interval: 1000, MemoryTotal: schemas.Absent64})
		b.Index, b.TS = append(b.Index, uint16(i)), append(b.TS, ts)
		b.Utilization, b.SMActive = append(b.Utilization, 500_000), append(b.SMActive, schemas.Absent32)
		b.TensorActive, b.DRAMActive = append(b.TensorActive, schemas.Absent32), append(b.DRAMActive, schemas.Absent32)
		b.MemoryUsed, b.Power = append(b.MemoryUsed, 1<<30), append(b.Power, schemas.Absent32)
		b.Energy, b.Temperature = append(b.Energy, schemas.Absent64), append(b.Temperature, schemas.Absent16)
	}
	return b
}

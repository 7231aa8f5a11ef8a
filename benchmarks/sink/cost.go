package main

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/schemas/wire"
	"github.com/gpumeter/gpumeter/sink/columns"
	"github.com/gpumeter/gpumeter/sink/insert"
)

// recordFacts is how many facts a processor puts into one record.
const recordFacts = 2000

// origin is 2026-01-05 00:00 UTC.
const origin = 1767571200000

// costTable compares the sink's path with bare inserts and returns its share.
func costTable(ctx context.Context, o options, dsn string, conn driver.Conn) (float64, error) {
	records, err := costRecords(o.facts)
	if err != nil {
		return 0, err
	}
	server, err := insert.New(dsn)
	if err != nil {
		return 0, err
	}
	defer func() { _ = server.Close() }()
	cells := columns.NewCells()
	var blocks []proto.Input
	err = eachBlock(records, o.block, cells, func() error {
		blocks = append(blocks, encode(cells.Input()))
		return nil
	})
	if err != nil {
		return 0, err
	}
	fmt.Printf("%d cost facts of %d columns in records of %d, inserts of %d facts, both tables (cells and cells_history):\n",
		o.facts, len(cells.Input()), recordFacts, o.block)
	table, spare := cells.Table, columns.NewCells()
	fastest, err := compare(ctx, o.facts, o.rounds,
		func() error { return quiet(ctx, conn, clickhouse.TableCells, clickhouse.TableHistory) },
		way{"bare inserts of encoded blocks", func(ctx context.Context) error {
			for _, block := range blocks {
				if err := server.Insert(ctx, table, block); err != nil {
					return err
				}
			}
			return nil
		}},
		way{"the sink: decode, columns, insert", func(ctx context.Context) error {
			return pipelined(ctx, records, o.block, server, cells, spare)
		}},
		way{"decode and columns alone", func(context.Context) error {
			return eachBlock(records, o.block, cells, func() error { return nil })
		}},
	)
	if err != nil {
		return 0, err
	}
	return fastest[0].Seconds() / fastest[1].Seconds(), nil
}

// eachBlock fills cells from records and calls f whenever a block is full.
func eachBlock(records []*kgo.Record, size int, cells *columns.Cells, f func() error) error {
	var decoder wire.CostDecoder
	defer decoder.Close()
	var costs schemas.Costs
	cells.Reset()
	for i, rec := range records {
		if err := decoder.Decode(&costs, rec); err != nil {
			return err
		}
		cells.Append(&costs, uint64(i), origin)
		if cells.Facts() < size && i+1 < len(records) {
			continue
		}
		if err := f(); err != nil {
			return err
		}
		cells.Reset()
	}
	return nil
}

// pipelined is how the sink works: one block is filled while another is
// inserted. Both keep their memory over rounds, as the sink's do.
func pipelined(ctx context.Context, records []*kgo.Record, size int, server insert.Inserter, cells, other *columns.Cells) error {
	full, spare, failed := make(chan *columns.Cells), make(chan *columns.Cells, 2), make(chan error, 1)
	cells.Reset()
	other.Reset()
	spare <- other
	go func() {
		defer close(failed)
		for cells := range full {
			if err := server.Insert(ctx, cells.Table, cells.Input()); err != nil {
				failed <- err
				return
			}
			cells.Reset()
			spare <- cells
		}
	}()
	var decoder wire.CostDecoder
	defer decoder.Close()
	var costs schemas.Costs
	for i, rec := range records {
		if err := decoder.Decode(&costs, rec); err != nil {
			return err
		}
		cells.Append(&costs, uint64(i), origin)
		if cells.Facts() < size && i+1 < len(records) {
			continue
		}
		select {
		case full <- cells:
			cells = <-spare
		case err := <-failed:
			return err
		}
	}
	close(full)
	return <-failed
}

// costRecords makes facts of nodes of 8 GPUs: two in three GPUs have one fact a
// minute, the third has three.
func costRecords(facts int) ([]*kgo.Record, error) {
	random := rand.New(rand.NewPCG(1, 2))
	var records []*kgo.Record
	var encoder wire.CostEncoder
	var b *factory
	for cell, made := 0, 0; made < facts; cell++ {
		if b == nil {
			b = newFactory(random)
		}
		n := 1
		if cell%3 == 2 {
			n = 3
		}
		b.cell(cell, n)
		if made += n; b.costs.Len() < recordFacts && made < facts {
			continue
		}
		rec, err := encoder.Encode(&b.costs)
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
		b = nil
	}
	return records, nil
}

// A factory makes the facts of one record, its texts as dictionaries.
type factory struct {
	costs   schemas.Costs
	random  *rand.Rand
	entries map[*schemas.Text]map[string]uint32
}

func newFactory(random *rand.Rand) *factory {
	return &factory{random: random, entries: map[*schemas.Text]map[string]uint32{}}
}

func (f *factory) text(t *schemas.Text, value string) {
	known := f.entries[t]
	if known == nil {
		known = map[string]uint32{}
		f.entries[t] = known
	}
	i, ok := known[value]
	if !ok {
		i = uint32(len(t.Dict))
		known[value] = i
		t.Dict = append(t.Dict, value)
	}
	t.Index = append(t.Index, i)
}

// cell adds a cell of n facts; cells go by node, GPU and then minute.
func (f *factory) cell(number, n int) {
	const gpus, nodes = 8, 2000
	gpu, node, minute := number%gpus, number/gpus%nodes, int64(number/gpus/nodes)
	for i := range n {
		f.texts(node, gpu, node%300)
		f.numbers(origin+minute*60_000, i, n)
	}
}

func (f *factory) texts(node, gpu, job int) {
	c := &f.costs
	for _, t := range []struct {
		to    *schemas.Text
		value string
	}{
		{&c.Cluster, "main"},
		{&c.Node, fmt.Sprintf("node-%04d", node)},
		{&c.Resource, fmt.Sprintf("i-%016x", node*2654435761)},
		{&c.Provider, "aws"},
		{&c.Region, "eu-central-1"},
		{&c.SKU, "p5.48xlarge"},
		{&c.GPU, fmt.Sprintf("GPU-%08x-%04x-%04x", node, gpu, node*7)},
		{&c.Model, "NVIDIA H100 80GB HBM3"},
		{&c.Slice, ""},
		{&c.Allocation, fmt.Sprintf("slurm/%d.0", 1_000_000+job)},
		{&c.User, fmt.Sprintf("user%d", job%70)},
		{&c.Name, fmt.Sprintf("train-%d", job%90)},
		{&c.Namespace, "gpu"},
		{&c.Team, fmt.Sprintf("team-%d", job%12)},
		{&c.Project, fmt.Sprintf("project-%d", job%25)},
		{&c.CostCenter, fmt.Sprintf("cc%d", job%9)},
		{&c.Environment, "prod"},
		{&c.AIModel, fmt.Sprintf("model-%d", job%6)},
		{&c.ModelVersion, "3"},
		{&c.Phase, "pretrain"},
		{&c.Labels, fmt.Sprintf(`{"partition":"a100","team":"team-%d"}`, job%12)},
		{&c.Currency, "USD"},
		{&c.PriceID, "aws/eu-central-1/p5.48xlarge/on_demand@1/1"},
	} {
		f.text(t.to, t.value)
	}
}

func (f *factory) numbers(window int64, i, n int) {
	c := &f.costs
	from, to := int64(i)*60_000/int64(n), int64(i+1)*60_000/int64(n)
	load := uint32(f.random.IntN(1_000_000))
	cost := int64(f.random.IntN(1_000_000_000))
	c.Window = append(c.Window, window)
	c.Finality = append(c.Finality, schemas.FinalityFinal)
	c.Restated = append(c.Restated, 0)
	c.WindowStart = append(c.WindowStart, window+from)
	c.WindowEnd = append(c.WindowEnd, window+to)
	c.State = append(c.State, schemas.StateActive)
	c.Attribution = append(c.Attribution, schemas.AttributionExclusive)
	c.GPUMs = append(c.GPUMs, to-from)
	c.UsedGPUMs = append(c.UsedGPUMs, (to-from)*int64(load)/1_000_000)
	c.Utilization = append(c.Utilization, load)
	c.SMActive = append(c.SMActive, load)
	c.MemoryMax = append(c.MemoryMax, uint64(f.random.IntN(80<<30)))
	c.Energy = append(c.Energy, uint64(f.random.IntN(42_000_000)))
	c.ListCost = append(c.ListCost, cost)
	c.EffectiveCost = append(c.EffectiveCost, cost)
	c.UsedCost = append(c.UsedCost, cost/2)
	c.WasteCost = append(c.WasteCost, 0)
	c.PriceStatus = append(c.PriceStatus, schemas.Priced)
	c.PositionFrom = append(c.PositionFrom, 0)
	c.PositionTo = append(c.PositionTo, 1_000_000)
	c.Runs = append(c.Runs, uint32(from), uint32(to))
	c.RunsEnd = append(c.RunsEnd, uint32(len(c.Runs)))
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/gpumeter/gpumeter/benchmarks/node"
	"github.com/gpumeter/gpumeter/deploy/chdb"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
	"github.com/gpumeter/gpumeter/sink/columns"
	"github.com/gpumeter/gpumeter/sink/insert"
)

// nodeSamples is how many samples a batch of one node has.
const nodeSamples = 80

// sampleTable compares ways to insert the same batches of samples.
func sampleTable(ctx context.Context, o options, engine *chdb.Server, conn driver.Conn) error {
	batches := make([]schemas.Samples, o.samples/nodeSamples)
	for i := range batches {
		node.New(i%2000+1).Fill(&batches[i], origin+int64(i/2000)*10_000, nodeSamples/node.GPUs)
		batches[i].Node = fmt.Sprintf("node-%04d", i%2000)
	}
	server, err := insert.New(engine.DSN())
	if err != nil {
		return err
	}
	defer func() { _ = server.Close() }()
	table := clickhouse.LogTable(schemas.StreamSamples)
	var blocks []proto.Input
	builder := columns.NewSamples()
	groups := group(batches, max(1, o.block/nodeSamples))
	for _, g := range groups {
		fill(builder, g)
		blocks = append(blocks, encode(builder.Input()))
	}
	each := func(f func(context.Context, []schemas.Samples) error) func(context.Context) error {
		return func(ctx context.Context) error {
			for _, g := range groups {
				if err := f(ctx, g); err != nil {
					return err
				}
			}
			return nil
		}
	}
	fmt.Printf("%d samples of %d columns, inserts of %d rows:\n", len(batches)*nodeSamples, len(builder.Input()), o.block)
	_, err = compare(ctx, len(batches)*nodeSamples, o.rounds, func() error { return quiet(ctx, conn, table) },
		way{"bare inserts of encoded blocks", func(ctx context.Context) error {
			for _, b := range blocks {
				if err := server.Insert(ctx, table, b); err != nil {
					return err
				}
			}
			return nil
		}},
		way{"ch-go columns (the sink)", each(func(ctx context.Context, g []schemas.Samples) error {
			fill(builder, g)
			return server.Insert(ctx, table, builder.Input())
		})},
		way{"ArrowStream over HTTP", each(func(ctx context.Context, g []schemas.Samples) error {
			return insertArrow(ctx, engine.HTTPURL(), table, g)
		})},
		way{"clickhouse-go by column", each(func(ctx context.Context, g []schemas.Samples) error {
			return insertColumns(ctx, conn, table, g)
		})},
	)
	return err
}

func group(all []schemas.Samples, size int) [][]schemas.Samples {
	var out [][]schemas.Samples
	for len(all) > 0 {
		n := min(size, len(all))
		out = append(out, all[:n])
		all = all[n:]
	}
	return out
}

func fill(b *columns.Samples, batches []schemas.Samples) {
	b.Reset()
	for i := range batches {
		b.Append(&batches[i], origin)
	}
}

// flat is the rows of batches as plain columns, in the order of sampleNames.
type flat struct {
	texts    [4][]string // node, gpu, slice, gpu_model
	interval []uint32
	memory   []uint64
	instants [2][]int64  // ts, appended_at
	ppm      [5][]uint32 // utilization, sm_active, tensor_active, dram_active, power
	wide     [2][]uint64 // memory_used_bytes, energy_joules
	degrees  []int16     // temperature_celsius
}

const sampleNames = "node, gpu, slice, gpu_model, interval, memory_total_bytes, ts, appended_at, utilization, sm_active, tensor_active, dram_active, power, memory_used_bytes, energy_joules, temperature_celsius"

func flatten(batches []schemas.Samples) *flat {
	f := &flat{}
	for i := range batches {
		b := &batches[i]
		for row, s := range b.Index {
			series := &b.Series[s]
			for k, v := range [4]string{b.Node, series.GPU, series.Slice, series.Model} {
				f.texts[k] = append(f.texts[k], v)
			}
			f.interval = append(f.interval, series.Interval)
			f.memory = append(f.memory, series.MemoryTotal)
			f.instants[0] = append(f.instants[0], b.TS[row])
			f.instants[1] = append(f.instants[1], origin)
		}
		for k, v := range [5][]uint32{b.Utilization, b.SMActive, b.TensorActive, b.DRAMActive, b.Power} {
			f.ppm[k] = append(f.ppm[k], v...)
		}
		f.wide[0] = append(f.wide[0], b.MemoryUsed...)
		f.wide[1] = append(f.wide[1], b.Energy...)
		f.degrees = append(f.degrees, b.Temperature...)
	}
	return f
}

func insertColumns(ctx context.Context, conn driver.Conn, table string, batches []schemas.Samples) error {
	f := flatten(batches)
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+clickhouse.Database+"."+table+" ("+sampleNames+") SETTINGS optimize_on_insert = 0")
	if err != nil {
		return err
	}
	values := []any{f.texts[0], f.texts[1], f.texts[2], f.texts[3], f.interval, f.memory, instants(f.instants[0]), instants(f.instants[1])}
	for _, v := range f.ppm {
		values = append(values, v)
	}
	values = append(values, f.wide[0], f.wide[1], f.degrees)
	for i, v := range values {
		if err := batch.Column(i).Append(v); err != nil {
			return err
		}
	}
	return batch.Send()
}

func instants(ms []int64) []time.Time {
	out := make([]time.Time, len(ms))
	for i, t := range ms {
		out[i] = time.UnixMilli(t)
	}
	return out
}

func insertArrow(ctx context.Context, address, table string, batches []schemas.Samples) error {
	record := arrowRecord(flatten(batches))
	defer record.Release()
	var body bytes.Buffer
	w := ipc.NewWriter(&body, ipc.WithSchema(record.Schema()))
	if err := w.Write(record); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	query := "INSERT INTO " + clickhouse.Database + "." + table + " (" + sampleNames + ") SETTINGS optimize_on_insert = 0 FORMAT ArrowStream"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/?query="+url.QueryEscape(query), &body)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return err
}

func arrowRecord(f *flat) arrow.Record {
	var fields []arrow.Field
	var data []arrow.Array
	add := func(name string, b array.Builder) {
		a := b.NewArray()
		b.Release()
		fields = append(fields, arrow.Field{Name: name, Type: a.DataType()})
		data = append(data, a)
	}
	for i, name := range []string{"node", "gpu", "slice", "gpu_model"} {
		b := array.NewDictionaryBuilder(memory.DefaultAllocator, &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Uint32, ValueType: arrow.BinaryTypes.String}).(*array.BinaryDictionaryBuilder)
		for _, v := range f.texts[i] {
			_ = b.AppendString(v) // fails only for a dictionary of 4 billion
		}
		add(name, b)
	}
	narrow := func(name string, v []uint32) {
		b := array.NewUint32Builder(memory.DefaultAllocator)
		b.AppendValues(v, nil)
		add(name, b)
	}
	wide := func(name string, v []uint64) {
		b := array.NewUint64Builder(memory.DefaultAllocator)
		b.AppendValues(v, nil)
		add(name, b)
	}
	narrow("interval", f.interval)
	wide("memory_total_bytes", f.memory)
	for i, name := range []string{"ts", "appended_at"} {
		b := array.NewTimestampBuilder(memory.DefaultAllocator, &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"})
		for _, v := range f.instants[i] {
			b.Append(arrow.Timestamp(v))
		}
		add(name, b)
	}
	for i, name := range []string{"utilization", "sm_active", "tensor_active", "dram_active", "power"} {
		narrow(name, f.ppm[i])
	}
	wide("memory_used_bytes", f.wide[0])
	wide("energy_joules", f.wide[1])
	degrees := array.NewInt16Builder(memory.DefaultAllocator)
	degrees.AppendValues(f.degrees, nil)
	add("temperature_celsius", degrees)
	return array.NewRecord(arrow.NewSchema(fields, nil), data, int64(len(f.interval)))
}

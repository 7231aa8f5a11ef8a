// Command bytes prints what one sample weighs on the wire: gpumeter's messages
// beside the same rows in protobuf (narrow integers) and in JSON, all under zstd.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gpumeter/gpumeter/benchmarks/node"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

const start = 1_780_275_600_000

func main() {
	if err := report(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A weight is the mean bytes per row of messages of Rows rows.
type weight struct {
	Rows                                    int
	Value, Record, Protobuf, ProtobufNarrow float64
	JSON                                    float64
}

func report(w io.Writer) error {
	fmt.Fprintln(w, "bytes per row, contract columns, busy node of 8 GPUs at 1 Hz; record = value + headers + key")
	fmt.Fprintf(w, "%8s %10s %10s %22s %18s %12s\n", "rows", "value", "record", "protobuf narrow+zstd", "protobuf+zstd", "JSON+zstd")
	for _, rows := range []int{8, 80, 1000, 10_000} {
		m, err := weigh(rows)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%8d %10.1f %10.1f %22.1f %18.1f %12.1f\n", m.Rows, m.Value, m.Record, m.ProtobufNarrow, m.Protobuf, m.JSON)
	}
	return nil
}

func weigh(rows int) (weight, error) {
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return weight{}, fmt.Errorf("make a zstd encoder: %w", err)
	}
	var enc wire.SampleEncoder
	var s schemas.Samples
	m := weight{Rows: rows}
	messages := max(2, 4000/rows)
	total := float64(messages * rows)
	for k := range messages {
		n := node.New(k)
		n.Fill(&s, start, 30) // let the signals settle
		n.Fill(&s, start+30_000, rows/node.GPUs)
		rec, err := enc.Encode(&s)
		if err != nil {
			return weight{}, err
		}
		size := len(rec.Value) + len(rec.Key)
		for _, h := range rec.Headers {
			size += len(h.Key) + len(h.Value) + 2
		}
		m.Value += float64(len(rec.Value)) / total
		m.Record += float64(size) / total
		m.ProtobufNarrow += float64(len(z.EncodeAll(protobuf(&s, true), nil))) / total
		m.Protobuf += float64(len(z.EncodeAll(protobuf(&s, false), nil))) / total
		text, err := jsonLines(&s)
		if err != nil {
			return weight{}, err
		}
		m.JSON += float64(len(z.EncodeAll(text, nil))) / total
	}
	return m, nil
}

// protobuf is a repeated message of the rows. narrow leaves what is constant to
// one series message and counts time from the first row, as our wire does.
func protobuf(s *schemas.Samples, narrow bool) []byte {
	var out []byte
	field := func(m []byte, n protowire.Number, v uint64) []byte {
		return protowire.AppendVarint(protowire.AppendTag(m, n, protowire.VarintType), v)
	}
	text := func(m []byte, n protowire.Number, v string) []byte {
		return protowire.AppendString(protowire.AppendTag(m, n, protowire.BytesType), v)
	}
	series := func(m []byte, g *schemas.Series) []byte {
		return field(field(text(text(m, 11, g.GPU), 12, g.Model), 13, uint64(g.Interval)), 14, g.MemoryTotal)
	}
	if narrow {
		for i := range s.Series {
			out = protowire.AppendBytes(protowire.AppendTag(out, 2, protowire.BytesType), series(nil, &s.Series[i]))
		}
	}
	for i := range s.TS {
		var m []byte
		if narrow {
			m = field(field(m, 1, uint64(s.Index[i])), 2, uint64(s.TS[i]-s.TS[0]))
			m = field(field(m, 7, s.MemoryUsed[i]>>20), 8, uint64(s.Power[i]/100))
		} else {
			m = series(text(m, 15, s.Node), &s.Series[s.Index[i]])
			m = field(m, 2, uint64(s.TS[i]))
			m = field(field(m, 7, s.MemoryUsed[i]), 8, uint64(s.Power[i]))
		}
		for k, v := range []uint32{s.Utilization[i], s.SMActive[i], s.TensorActive[i], s.DRAMActive[i]} {
			m = field(m, protowire.Number(3+k), uint64(v/100))
		}
		m = field(field(m, 9, s.Energy[i]), 10, uint64(s.Temperature[i]))
		out = protowire.AppendBytes(protowire.AppendTag(out, 1, protowire.BytesType), m)
	}
	return out
}

// jsonLines is the rows in the input contract.
func jsonLines(s *schemas.Samples) ([]byte, error) {
	var out []byte
	for i := range s.TS {
		g := s.Series[s.Index[i]]
		line, err := json.Marshal(map[string]any{
			"ts": s.TS[i], "node": s.Node, "gpu": g.GPU, "gpu_model": g.Model, "interval_seconds": g.Interval / 1000,
			"utilization": float64(s.Utilization[i]) / 1e6, "sm_active": float64(s.SMActive[i]) / 1e6,
			"tensor_active": float64(s.TensorActive[i]) / 1e6, "dram_active": float64(s.DRAMActive[i]) / 1e6,
			"memory_used_bytes": s.MemoryUsed[i], "memory_total_bytes": g.MemoryTotal, "power_watts": float64(s.Power[i]) / 1e3,
			"energy_joules": s.Energy[i], "temperature_celsius": s.Temperature[i],
		})
		if err != nil {
			return nil, fmt.Errorf("encode row %d as JSON: %w", i, err)
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}

// Package wiretest makes records for tests: a good one of each stream, and
// damaged ones. Everything follows from the random source that is given.
package wiretest

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// At is the event time of the good records, Unix ms.
const At = 1_780_275_600_000

// Records is one good record of each stream, by its name.
func Records() (map[string]*kgo.Record, error) {
	all := map[string]*kgo.Record{}
	var err error
	add := func(rec *kgo.Record, failed error) {
		if failed != nil {
			err = failed
			return
		}
		all[rec.Topic[len(schemas.Prefix):]] = rec
	}
	var samples wire.SampleEncoder
	add(samples.Encode(sampled()))
	var costs wire.CostEncoder
	add(costs.Encode(charged()))
	gpus := []schemas.GPURef{{Node: "n1", GPU: "g0", Share: 500_000}, {Node: "n2", GPU: "g1", Slice: "1g"}}
	add(wire.Encode("n1", []schemas.Process{{TS: At, Node: "n1", GPU: "g0", PID: 7, SMUtilization: schemas.Absent32, MemoryUsed: 9}}))
	add(wire.Encode("a", []schemas.Allocation{
		{TS: At, Event: schemas.EventStart, Allocation: "a", HasGPUs: true, GPUs: gpus, User: "u", Command: []string{"train", "--fast"}, HasLabels: true, Labels: []schemas.Label{{Key: "team", Value: "x"}}, ReqGPUs: 2, ReqWalltime: 60},
		{TS: At + 1, Event: schemas.EventEnd, Allocation: "a", State: "failed", ReqGPUs: -1, ReqWalltime: -1},
	}))
	add(wire.Encode("n1", []schemas.Resource{{Node: "n1", Resource: "r", Provider: "p", SKU: "x", GPUs: []string{"g0", "g1"}, From: At, PricingCategory: "owned", IdleWatts: 90_500}}))
	add(wire.Encode("p///owned", []schemas.Price{{Provider: "p", PricingCategory: "owned", Currency: "USD", PerHour: 16_800_000_000, From: At}}))
	add(wire.Encode("user=u", []schemas.Tag{{Match: "user=u", Set: "team=x", From: At, Priority: -1}}))
	add(wire.Encode("", []schemas.Tick{{}}))
	add(wire.Encode("a", []schemas.Activity{{Allocation: "a", Node: "n1", GPU: "g0"}}))
	add(wire.Encode("a", []schemas.Finding{{
		Finding: "idle/a/1", Revision: 1, Kind: schemas.KindIdle, Status: schemas.StatusOpen, Severity: schemas.SeverityAlert,
		Allocation: "a", Node: "n1", GPUs: []string{"g0"}, BurntCost: 1_500_000_000, Currency: "USD",
	}}))
	add(wire.Encode("", []schemas.Notice{{Finding: "idle/a/1", Revision: 1, What: schemas.NoticeAlert, State: schemas.NoticePosting}}))
	add(wire.Encode("samples", []schemas.DeadLetter{{Stream: "samples", Place: "f:1", Reason: schemas.ReasonBadJSON, Detail: "d", Payload: []byte{0xff, 0}, Count: 3}}))
	add(wire.Encode("", []schemas.Quarantined{{Group: "g", Topic: "gpumeter.samples", TopicID: "x", Partition: 3, Offset: 17}}))
	return all, err
}

func sampled() *schemas.Samples {
	s := &schemas.Samples{Node: "n1", Series: []schemas.Series{{GPU: "g0", Model: "H100", Interval: 1000, MemoryTotal: 80 << 30}, {GPU: "g1", Slice: "1g", MemoryTotal: schemas.Absent64}}}
	for i := range 40 {
		s.Index, s.TS = append(s.Index, uint16(i%2)), append(s.TS, At+int64(i)*1000)
		s.Utilization, s.SMActive = append(s.Utilization, uint32(i)*10_000), append(s.SMActive, schemas.Absent32)
		s.TensorActive, s.DRAMActive = append(s.TensorActive, 0), append(s.DRAMActive, uint32(i))
		s.MemoryUsed, s.Power = append(s.MemoryUsed, uint64(i)<<30), append(s.Power, 250_000+uint32(i))
		s.Energy, s.Temperature = append(s.Energy, uint64(i)), append(s.Temperature, int16(i))
	}
	return s
}

// A Mutator damages records.
type Mutator struct {
	random *rand.Rand
	in     *zstd.Decoder
	out    *zstd.Encoder
}

// NewMutator makes a Mutator whose records follow from seed. Close it.
func NewMutator(seed uint64) (*Mutator, error) {
	in, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return nil, fmt.Errorf("make a zstd decoder: %w", err)
	}
	out, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, fmt.Errorf("make a zstd encoder: %w", err)
	}
	return &Mutator{rand.New(rand.NewPCG(seed, 0)), in, out}, nil
}

// Close gives up what the Mutator holds.
func (m *Mutator) Close() error {
	m.in.Close()
	return m.out.Close()
}

// Mutate is a damaged copy of rec. Of half of them the checksum is made right again,
// so that they get further; of some what is compressed is damaged.
func (m *Mutator) Mutate(rec *kgo.Record) *kgo.Record {
	r := m.random
	out := &kgo.Record{Topic: rec.Topic, Key: slices.Clone(rec.Key), Value: slices.Clone(rec.Value)}
	for _, h := range rec.Headers {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: h.Key, Value: slices.Clone(h.Value)})
	}
	switch r.IntN(8) {
	case 0:
		mutateHeader(r, out)
	case 1:
		out.Key = damage(r, out.Key)
	case 2, 3:
		out.Value = m.beneath(out.Value)
		Reseal(out)
	default:
		out.Value = damage(r, out.Value)
		if r.IntN(2) == 0 {
			Reseal(out)
		}
	}
	return out
}

// damage changes some bytes, the length, or a number that may be a length.
func damage(r *rand.Rand, b []byte) []byte {
	if len(b) == 0 {
		return []byte{byte(r.Uint32())}
	}
	switch r.IntN(6) {
	case 0:
		return b[:r.IntN(len(b))]
	case 1:
		return append(b, make([]byte, 1+r.IntN(64))...)
	case 2:
		lie(r, b)
	case 3: // a piece from elsewhere
		from, to, n := r.IntN(len(b)), r.IntN(len(b)), 1+r.IntN(32)
		copy(b[to:], b[from:min(len(b), from+n)])
	default:
		for range 1 + r.IntN(4) {
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		}
	}
	return b
}

// lie writes an extreme number over 4 or 8 bytes.
func lie(r *rand.Rand, b []byte) {
	lies := []uint64{0, 1, math.MaxInt32, math.MaxUint32, math.MaxInt64, math.MaxUint64, 1 << 20, 1 << 31, uint64(len(b)), uint64(len(b)) + 1}
	v := lies[r.IntN(len(lies))]
	at := r.IntN(len(b)) &^ 3
	if r.IntN(2) == 0 && at+8 <= len(b) {
		binary.LittleEndian.PutUint64(b[at:], v)
	} else if at+4 <= len(b) {
		binary.LittleEndian.PutUint32(b[at:], uint32(v))
	}
}

// beneath damages what is compressed in b, or b where nothing is.
func (m *Mutator) beneath(b []byte) []byte {
	raw, err := m.in.DecodeAll(b, nil)
	if err != nil {
		return damage(m.random, b)
	}
	return m.out.EncodeAll(damage(m.random, raw), nil)
}

func mutateHeader(r *rand.Rand, rec *kgo.Record) {
	i := r.IntN(len(rec.Headers))
	switch r.IntN(3) {
	case 0:
		rec.Headers = slices.Delete(rec.Headers, i, i+1)
	case 1:
		rec.Headers[i].Key = fmt.Sprint(rec.Headers[i].Key, "x")
	default:
		rec.Headers[i].Value = damage(r, rec.Headers[i].Value)
	}
}

// Reseal makes the checksum of rec right.
func Reseal(rec *kgo.Record) {
	for i := range rec.Headers {
		if rec.Headers[i].Key == "crc32c" {
			rec.Headers[i].Value = binary.LittleEndian.AppendUint32(nil, crc32.Checksum(rec.Value, crc32.MakeTable(crc32.Castagnoli)))
		}
	}
}

// charged are two cells of one GPU.
func charged() *schemas.Costs {
	const n = 2
	c := new(schemas.Costs)
	v := reflect.ValueOf(c).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Type() == reflect.TypeFor[schemas.Text]():
			f.Set(reflect.ValueOf(schemas.Text{Index: make([]uint32, n), Dict: []string{"x"}}))
		case v.Type().Field(i).Name != "Runs":
			f.Set(reflect.MakeSlice(f.Type(), n, n))
		}
	}
	c.Labels.Dict[0] = `{"team":"x"}`
	for i := range n {
		at := At + int64(i)*60_000
		c.Window[i], c.WindowStart[i], c.WindowEnd[i] = at, at, at+60_000
		c.State[i], c.Finality[i], c.GPUMs[i] = schemas.StateActive, schemas.FinalityFinal, 60_000
		c.Runs = append(c.Runs, 0, 60_000)
		c.RunsEnd[i] = uint32(len(c.Runs))
	}
	return c
}

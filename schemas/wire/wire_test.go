package wire

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// drawSamples draws a batch in which any column may be absent in any row.
func drawSamples(t *rapid.T) *schemas.Samples {
	s := &schemas.Samples{Node: rapid.String().Draw(t, "node")}
	for range rapid.IntRange(1, 4).Draw(t, "series") {
		s.Series = append(s.Series, schemas.Series{
			GPU: rapid.OneOf(rapid.String(), rapid.StringMatching(`GPU-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)).Draw(t, "gpu"), Slice: rapid.String().Draw(t, "slice"), Model: rapid.String().Draw(t, "model"),
			Interval: rapid.Uint32().Draw(t, "interval"), MemoryTotal: rapid.OneOf(rapid.Just(schemas.Absent64), rapid.Uint64()).Draw(t, "total"),
		})
	}
	share := rapid.OneOf(rapid.Just(schemas.Absent32), rapid.Uint32Range(0, 1_000_000), rapid.Map(rapid.Uint32Range(0, 100), func(v uint32) uint32 { return v * 10_000 }))
	wide := rapid.OneOf(rapid.Just(schemas.Absent64), rapid.Uint64(), rapid.Map(rapid.Uint64Range(0, 80<<10), func(v uint64) uint64 { return v << 20 }))
	for range rapid.IntRange(0, 40).Draw(t, "rows") {
		s.Index = append(s.Index, uint16(rapid.IntRange(0, len(s.Series)-1).Draw(t, "index")))
		s.TS = append(s.TS, rapid.Int64Range(0, 1<<43).Draw(t, "ts"))
		s.Utilization = append(s.Utilization, share.Draw(t, "utilization"))
		s.SMActive = append(s.SMActive, share.Draw(t, "sm"))
		s.TensorActive = append(s.TensorActive, schemas.Absent32)
		s.DRAMActive = append(s.DRAMActive, share.Draw(t, "dram"))
		s.MemoryUsed = append(s.MemoryUsed, wide.Draw(t, "memory"))
		s.Power = append(s.Power, rapid.Uint32().Draw(t, "power"))
		s.Energy = append(s.Energy, wide.Draw(t, "energy"))
		s.Temperature = append(s.Temperature, int16(rapid.IntRange(-40, 120).Draw(t, "temperature")))
	}
	return s
}

// sorted is s in the order of a message.
func sorted(s *schemas.Samples) *schemas.Samples {
	order := make([]int, s.Len())
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(s.Index[a], s.Index[b]), cmp.Compare(s.TS[a], s.TS[b]))
	})
	out := &schemas.Samples{Node: s.Node, Series: s.Series}
	for _, i := range order {
		out.Index, out.TS = append(out.Index, s.Index[i]), append(out.TS, s.TS[i])
		out.Utilization, out.SMActive = append(out.Utilization, s.Utilization[i]), append(out.SMActive, s.SMActive[i])
		out.TensorActive, out.DRAMActive = append(out.TensorActive, s.TensorActive[i]), append(out.DRAMActive, s.DRAMActive[i])
		out.MemoryUsed, out.Power = append(out.MemoryUsed, s.MemoryUsed[i]), append(out.Power, s.Power[i])
		out.Energy, out.Temperature = append(out.Energy, s.Energy[i]), append(out.Temperature, s.Temperature[i])
	}
	return out
}

func TestSamplesComeBackExact(t *testing.T) {
	var enc SampleEncoder
	var dec SampleDecoder
	var got schemas.Samples
	rapid.Check(t, func(t *rapid.T) {
		s := drawSamples(t)
		rec, err := enc.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := dec.Decode(&got, rec); err != nil {
			t.Fatal(err)
		}
		if want := sorted(s); want.Len() != got.Len() || (got.Len() > 0 && !reflect.DeepEqual(*want, got)) {
			t.Fatalf("want %+v\n got %+v", want, got)
		}
	})
}

// drawRow fills any row struct with drawn values.
func drawRow(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			drawRow(t, v.Field(i))
		}
	case reflect.Int64, reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, "int")))
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(rapid.Uint32().Draw(t, "uint")))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, "len"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				if e := v.Index(i); e.Kind() == reflect.Uint8 {
					e.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
				} else {
					drawRow(t, e)
				}
			}
		}
	}
}

func comeBack[T Row](t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := make([]T, rapid.IntRange(0, 5).Draw(t, "rows"))
		for i := range rows {
			drawRow(t, reflect.ValueOf(&rows[i]).Elem())
		}
		rec, err := Encode("key", rows)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode[T](nil, rec)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != len(got) || (len(rows) > 0 && !reflect.DeepEqual(rows, got)) {
			t.Fatalf("want %+v\n got %+v", rows, got)
		}
	})
}

func TestRowsComeBackExact(t *testing.T) {
	t.Run("allocations", comeBack[schemas.Allocation])
	t.Run("resources", comeBack[schemas.Resource])
	t.Run("prices", comeBack[schemas.Price])
	t.Run("tags", comeBack[schemas.Tag])
	t.Run("ticks", comeBack[schemas.Tick])
	t.Run("processes", comeBack[schemas.Process])
	t.Run("dead letters", comeBack[schemas.DeadLetter])
}

// someCosts makes n rows with every column set.
func someCosts(n int, seed uint64) *schemas.Costs {
	r := rand.New(rand.NewPCG(seed, 1))
	c := &schemas.Costs{Runs: []uint32{}}
	for i := range n {
		v := reflect.ValueOf(c).Elem()
		for f := range v.NumField() {
			switch col := v.Field(f).Addr().Interface().(type) {
			case *schemas.Text:
				if len(col.Dict) == 0 {
					col.Dict = []string{"", "node-a", "node-b", "ü"}
				}
				col.Index = append(col.Index, uint32(r.IntN(4)))
			case *[]int64:
				*col = append(*col, r.Int64()-r.Int64())
			case *[]uint64:
				*col = append(*col, []uint64{schemas.Absent64, r.Uint64()}[r.IntN(2)])
			case *[]uint8:
				*col = append(*col, uint8(r.IntN(7)))
			case *[]uint32:
				if name := v.Type().Field(f).Name; name != "Runs" && name != "RunsEnd" {
					*col = append(*col, []uint32{schemas.Absent32, r.Uint32()}[r.IntN(2)])
				}
			}
		}
		for range r.IntN(3) {
			c.Runs = append(c.Runs, uint32(i), uint32(i+1))
		}
		c.RunsEnd = append(c.RunsEnd, uint32(len(c.Runs)))
	}
	return c
}

func TestCostsComeBackExact(t *testing.T) {
	var enc CostEncoder
	var dec CostDecoder
	var got schemas.Costs
	for _, n := range []int{1, 7, 1000, 3} {
		want := someCosts(n, uint64(n))
		rec, err := enc.Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if err := dec.Decode(&got, rec); err != nil {
			t.Fatal(err)
		}
		if len(want.Runs) == 0 {
			got.Runs = want.Runs
		}
		if !reflect.DeepEqual(*want, got) {
			t.Fatalf("%d rows differ:\nwant %+v\n got %+v", n, *want, got)
		}
	}
}

// aRecord is one small record of each form.
func records(t testing.TB) map[string]*kgo.Record {
	t.Helper()
	s := &schemas.Samples{
		Node: "n1", Series: []schemas.Series{{GPU: "GPU-1", Model: "H100", MemoryTotal: 80 << 30}},
		Index: []uint16{0, 0}, TS: []int64{1780275600000, 1780275601000}, Utilization: []uint32{990_000, 0}, SMActive: []uint32{schemas.Absent32, 123_456},
		TensorActive: []uint32{schemas.Absent32, schemas.Absent32}, DRAMActive: []uint32{1, 2}, MemoryUsed: []uint64{1 << 30, 0}, Power: []uint32{700_000, 90_100},
		Energy: []uint64{1e9, 1e9 + 700}, Temperature: []int16{60, -3},
	}
	var se SampleEncoder
	samples, err := se.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	var ce CostEncoder
	costs, err := ce.Encode(someCosts(5, 1))
	if err != nil {
		t.Fatal(err)
	}
	allocations, err := Encode("a", []schemas.Allocation{{TS: 1, Event: "start", Allocation: "a", GPUs: []schemas.GPURef{{Node: "n", GPU: "g"}}, Labels: []schemas.Label{{Key: "k", Value: "v"}}, Command: []string{"x"}}})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*kgo.Record{schemas.StreamSamples: samples, schemas.StreamCost: costs, schemas.StreamAllocations: allocations}
}

func decode(name string, rec *kgo.Record) error {
	switch name {
	case schemas.StreamSamples:
		var d SampleDecoder
		return d.Decode(&schemas.Samples{}, rec)
	case schemas.StreamCost:
		var d CostDecoder
		return d.Decode(&schemas.Costs{}, rec)
	}
	_, err := Decode[schemas.Allocation](nil, rec)
	return err
}

func withValue(rec *kgo.Record, value []byte) *kgo.Record {
	out := *rec
	out.Value = value
	out.Headers = slices.Clone(rec.Headers)
	return &out
}

// resealed is rec with another value under a checksum that is right.
func resealed(rec *kgo.Record, value []byte) *kgo.Record {
	out := withValue(rec, value)
	for i, h := range out.Headers {
		if h.Key == headerSum {
			out.Headers[i].Value = binary.LittleEndian.AppendUint32(nil, checksum(value))
		}
	}
	return out
}

func TestDamageIsAnError(t *testing.T) {
	for name, rec := range records(t) {
		if err := decode(name, rec); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := range len(rec.Value) {
			for _, cut := range []*kgo.Record{withValue(rec, rec.Value[:n]), resealed(rec, rec.Value[:n])} {
				if err := decode(name, cut); !errors.Is(err, ErrCorrupt) {
					t.Errorf("%s cut at %d of %d: %v", name, n, len(rec.Value), err)
				}
			}
			flipped := slices.Clone(rec.Value)
			flipped[n] ^= 0x55
			if err := decode(name, withValue(rec, flipped)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s with byte %d flipped: %v", name, n, err)
			}
		}
		for i := range rec.Headers {
			out := withValue(rec, rec.Value)
			if out.Headers = slices.Delete(out.Headers, i, i+1); rec.Headers[i].Key == headerSchema {
				continue
			}
			if err := decode(name, out); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s without header %s: %v", name, rec.Headers[i].Key, err)
			}
		}
	}
}

func TestNewerAndOlderWritersOfSamples(t *testing.T) {
	rec := records(t)[schemas.StreamSamples]
	var d SampleDecoder
	var s schemas.Samples
	newer := withValue(rec, rec.Value)
	older := withValue(rec, rec.Value)
	for i, h := range rec.Headers {
		if h.Key == headerLayout {
			newer.Headers[i].Value = append(slices.Clone(h.Value), "----"...)
			older.Headers[i].Value = h.Value[:seriesColumnCount+1+6]
		}
	}
	if err := d.Decode(&s, newer); err != nil || s.Temperature[0] != 60 {
		t.Errorf("a newer writer's columns were not skipped: %v", err)
	}
	if err := d.Decode(&s, older); err != nil || s.DRAMActive[1] != 2 || s.Temperature[0] != schemas.Absent16 {
		t.Errorf("an older writer's columns are not absent: %v", err)
	}
}

func fuzz(f *testing.F, name string) {
	rec := records(f)[name]
	f.Add(rec.Value)
	f.Fuzz(func(t *testing.T, value []byte) {
		for _, r := range []*kgo.Record{withValue(rec, value), resealed(rec, value)} {
			if err := decode(name, r); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("an error that is not ErrCorrupt: %v", err)
			}
		}
	})
}

func FuzzSamples(f *testing.F)     { fuzz(f, schemas.StreamSamples) }
func FuzzCosts(f *testing.F)       { fuzz(f, schemas.StreamCost) }
func FuzzAllocations(f *testing.F) { fuzz(f, schemas.StreamAllocations) }

// fuzzBeneath mutates what is compressed.
func fuzzBeneath(f *testing.F, name string) {
	rec := records(f)[name]
	z, err := newDecompressor()
	if err != nil {
		f.Fatal(err)
	}
	raw, err := z.DecodeAll(rec.Value, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	c, err := newCompressor(1)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := decode(name, resealed(rec, c.EncodeAll(raw, nil))); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("an error that is not ErrCorrupt: %v", err)
		}
	})
}

func FuzzSampleMessages(f *testing.F) { fuzzBeneath(f, schemas.StreamSamples) }
func FuzzCostStreams(f *testing.F)    { fuzzBeneath(f, schemas.StreamCost) }

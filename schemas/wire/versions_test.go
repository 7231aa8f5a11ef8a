package wire

import (
	"errors"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/gpumeter/gpumeter/schemas"
)

// priceStream is a stream of two prices by a writer with other columns.
func priceStream(t *testing.T, fields []arrow.Field, fill func(*array.RecordBuilder)) []byte {
	t.Helper()
	schema := arrow.NewSchema(fields, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	fill(b)
	rec := b.NewRecord()
	defer rec.Release()
	return arrowStream(t, schema, rec.Columns(), rec.NumRows())
}

func decodePrices(t *testing.T, value []byte) ([]schemas.Price, error) {
	t.Helper()
	rec, err := Encode("k", make([]schemas.Price, 2))
	if err != nil {
		t.Fatal(err)
	}
	return Decode[schemas.Price](nil, resealed(rec, value))
}

// An older writer: fewer columns, in another order. A newer one: more columns,
// of types this reader has no use for.
func TestRowsOfOlderAndNewerWriters(t *testing.T) {
	got, err := decodePrices(t, priceStream(t, []arrow.Field{
		{Name: "price_per_hour", Type: arrow.PrimitiveTypes.Int64},
		{Name: "invented_later", Type: arrow.ListOf(arrow.PrimitiveTypes.Float64), Nullable: true},
		{Name: "sku", Type: arrow.BinaryTypes.LargeString},
	}, func(b *array.RecordBuilder) {
		b.Field(0).(*array.Int64Builder).AppendValues([]int64{5, -6}, nil)
		b.Field(1).(*array.ListBuilder).AppendNull()
		b.Field(1).(*array.ListBuilder).AppendNull()
		b.Field(2).(*array.LargeStringBuilder).AppendValues([]string{"a", "b"}, nil)
	}))
	want := []schemas.Price{{PerHour: 5, SKU: "a"}, {PerHour: -6, SKU: "b"}}
	if err != nil || len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// A column may have become wider, or have been narrower once; null is the zero
// value. What does not fit is an error, not another number.
func TestRowsWithWiderAndNarrowerColumns(t *testing.T) {
	narrow := priceStream(t, []arrow.Field{{Name: "price_per_hour", Type: arrow.PrimitiveTypes.Int16, Nullable: true}}, func(b *array.RecordBuilder) {
		b.Field(0).(*array.Int16Builder).Append(-300)
		b.Field(0).(*array.Int16Builder).AppendNull()
	})
	got, err := decodePrices(t, narrow)
	if err != nil || got[0].PerHour != -300 || got[1].PerHour != 0 {
		t.Errorf("got %+v, %v", got, err)
	}

	rec, err := Encode("k", make([]schemas.Resource, 2))
	if err != nil {
		t.Fatal(err)
	}
	for value, fits := range map[int64]bool{70_000: true, 1 << 32: false, -1: false} {
		wide := priceStream(t, []arrow.Field{{Name: "idle_watts", Type: arrow.PrimitiveTypes.Int64}}, func(b *array.RecordBuilder) {
			b.Field(0).(*array.Int64Builder).AppendValues([]int64{value, 1}, nil)
		})
		rows, err := Decode[schemas.Resource](nil, resealed(rec, wide))
		if fits && (err != nil || rows[0].IdleWatts != uint32(value)) || !fits && !errors.Is(err, ErrCorrupt) {
			t.Errorf("idle_watts %d: %+v, %v", value, rows, err)
		}
	}
}

// To a counter of 64 bits -1 is no number, and half of its range none to a sum.
func TestRowsWithAnotherSignAreRefused(t *testing.T) {
	rec, err := Encode("k", make([]schemas.Process, 1))
	if err != nil {
		t.Fatal(err)
	}
	minus := priceStream(t, []arrow.Field{{Name: "memory_used_bytes", Type: arrow.PrimitiveTypes.Int64}}, func(b *array.RecordBuilder) { b.Field(0).(*array.Int64Builder).Append(-1) })
	large := priceStream(t, []arrow.Field{{Name: "ts", Type: arrow.PrimitiveTypes.Uint64}}, func(b *array.RecordBuilder) { b.Field(0).(*array.Uint64Builder).Append(1 << 63) })
	for _, value := range [][]byte{minus, large} {
		if rows, err := Decode[schemas.Process](nil, resealed(rec, value)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("got %+v, %v", rows, err)
		}
	}
}

func TestRowsOfAnotherTypeAreRefused(t *testing.T) {
	for _, column := range []string{"price_per_hour", "sku"} {
		value := priceStream(t, []arrow.Field{{Name: column, Type: arrow.PrimitiveTypes.Float64}}, func(b *array.RecordBuilder) {
			b.Field(0).(*array.Float64Builder).AppendValues([]float64{1, 2}, nil)
		})
		if got, err := decodePrices(t, value); !errors.Is(err, ErrCorrupt) || len(got) != 0 {
			t.Errorf("%s as a float: %+v, %v", column, got, err)
		}
	}
}

// A dictionary's index is as narrow as its dictionary allows, and never cut.
func TestIndicesOfFactsAreWideEnough(t *testing.T) {
	var enc CostEncoder
	var dec CostDecoder
	for _, texts := range []int{1, 256, 257, 1 << 16, 1<<16 + 1} {
		c := someCosts(3, 1)
		c.Name.Dict = make([]string, texts)
		c.Name.Dict[texts-1] = "the last"
		c.Name.Index = []uint32{0, uint32(texts - 1), 0}
		rec, err := enc.Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		var got schemas.Costs
		if err := dec.Decode(&got, rec); err != nil || got.Name.Dict[got.Name.Index[1]] != "the last" {
			t.Errorf("%d texts: %v", texts, err)
		}
		c.Name.Index[2] = uint32(texts)
		if _, err := enc.Encode(c); err == nil {
			t.Errorf("%d texts: an index that dangles is written", texts)
		}
	}
}

// An older writer of facts: no labels, no energy, no runs.
func TestFactsOfAnOlderWriter(t *testing.T) {
	schema := arrow.NewSchema([]arrow.Field{
		{Name: "window_start", Type: arrow.PrimitiveTypes.Int32},
		{Name: "node", Type: &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int16, ValueType: arrow.BinaryTypes.String}},
		{Name: "later", Type: arrow.BinaryTypes.String},
	}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Field(0).(*array.Int32Builder).AppendValues([]int32{60_000, 120_000}, nil)
	for _, v := range []string{"a", "b"} {
		if err := b.Field(1).(*array.BinaryDictionaryBuilder).AppendString(v); err != nil {
			t.Fatal(err)
		}
		b.Field(2).(*array.StringBuilder).Append(v)
	}
	batch := b.NewRecord()
	defer batch.Release()
	rec := withRows(resealed(records(t)[schemas.StreamCost], compressed(t, arrowStream(t, schema, batch.Columns(), 2))), 2)
	var got schemas.Costs
	if err := new(CostDecoder).Decode(&got, rec); err != nil {
		t.Fatal(err)
	}
	if got.Len() != 2 || got.WindowStart[1] != 120_000 || got.Node.Dict[got.Node.Index[1]] != "b" ||
		got.Labels.Dict[got.Labels.Index[0]] != "" || got.Energy[0] != schemas.Absent64 || got.RunsEnd[1] != 0 || got.ListCost[0] != 0 {
		t.Errorf("got %+v", got)
	}
}

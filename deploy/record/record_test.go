package record

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// said keeps rows in order.
type said struct{ rows []any }

func (s *said) add(v any) error                       { s.rows = append(s.rows, v); return nil }
func (s *said) Sample(v *contract.Sample) error       { return s.add(*v) }
func (s *said) Process(v schemas.Process) error       { return s.add(v) }
func (s *said) Allocation(v schemas.Allocation) error { return s.add(v) }
func (s *said) Resource(v schemas.Resource) error     { return s.add(v) }
func (s *said) Price(v schemas.Price) error           { return s.add(v) }
func (s *said) Tag(v schemas.Tag) error               { return s.add(v) }
func (s *said) DeadLetter(v schemas.DeadLetter) error { return s.add(v) }

// TestWhatIsRecordedIsReadBack holds the reader of the contract to the recorder:
// whatever a source can say comes back, row for row.
func TestWhatIsRecordedIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.Custom(row), 0, 20).Draw(t, "rows")
		dir, err := os.MkdirTemp("", "record-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		var passed said
		r, err := New(dir, &passed)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			if err := give(r, row); err != nil {
				t.Fatal(err)
			}
		}
		if r.Rows() != int64(len(rows)) {
			t.Errorf("counted %d of %d", r.Rows(), len(rows))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(passed.rows, slices.Clip(rows)) && len(rows) > 0 {
			t.Errorf("passed on %+v", passed.rows)
		}
		for _, stream := range contract.Files() {
			want := slices.DeleteFunc(slices.Clone(rows), func(row any) bool { return streamOf(row) != stream.Stream })
			got := readBack(t, dir, stream)
			if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", stream.Name, got, want)
			}
		}
	})
}

func give(to *Recorder, row any) error {
	switch v := row.(type) {
	case contract.Sample:
		return to.Sample(&v)
	case schemas.Process:
		return to.Process(v)
	case schemas.Allocation:
		return to.Allocation(v)
	case schemas.Resource:
		return to.Resource(v)
	case schemas.Price:
		return to.Price(v)
	default:
		return to.Tag(v.(schemas.Tag))
	}
}

func streamOf(row any) string {
	switch row.(type) {
	case contract.Sample:
		return schemas.StreamSamples
	case schemas.Process:
		return schemas.StreamProcesses
	case schemas.Allocation:
		return schemas.StreamAllocations
	case schemas.Resource:
		return schemas.StreamResources
	case schemas.Price:
		return schemas.StreamPrices
	default:
		return schemas.StreamTags
	}
}

func readBack(t *rapid.T, dir string, file contract.File) (rows []any) {
	f, err := os.Open(filepath.Join(dir, file.Name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := contract.NewReader(file, f)
	for {
		err := r.Next()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			t.Fatalf("%s: %v\n%s", file.Name, err, r.Line())
		}
		if ignored := r.Ignored(); len(ignored) > 0 {
			t.Errorf("%s: the contract has no field %v", file.Name, ignored)
		}
		byStream := map[string]any{
			schemas.StreamSamples: r.Sample, schemas.StreamProcesses: r.Process, schemas.StreamAllocations: r.Allocation,
			schemas.StreamResources: r.Resource, schemas.StreamPrices: r.Price, schemas.StreamTags: r.Tag,
		}
		rows = append(rows, byStream[file.Stream])
	}
}

// row draws a row of any stream, with every value that its columns can hold.
func row(t *rapid.T) any {
	switch rapid.IntRange(0, 5).Draw(t, "stream") {
	case 0:
		return sample(t)
	case 1:
		return schemas.Process{
			TS: instant(t), Node: id(t), GPU: id(t), Slice: text(t), PID: rapid.Int64Range(0, 1<<40).Draw(t, "pid"), Allocation: text(t),
			SMUtilization: fraction(t), MemoryUsed: amount(t),
		}
	case 2:
		return allocation(t)
	case 3:
		gpus := rapid.SliceOfDistinct(rapid.Custom(id), rapid.ID).Draw(t, "gpus")
		slices.Sort(gpus)
		if len(gpus) == 0 {
			gpus = []string{"g"}
		}
		return schemas.Resource{
			Node: id(t), Resource: id(t), Cluster: text(t), Provider: id(t), Region: text(t), SKU: id(t), Model: text(t), GPUs: gpus,
			From: instant(t), To: maybe(t), PricingCategory: "spot", Scheduler: rapid.Bool().Draw(t, "scheduler"), IdleWatts: milli(t),
		}
	case 4:
		return schemas.Price{
			Provider: id(t), Region: text(t), SKU: id(t), PricingCategory: "on_demand", Currency: "USD",
			PerHour: rapid.Int64Range(0, 999_999_999_999_999_999).Draw(t, "nano"), From: instant(t), To: maybe(t), KnownAt: maybe(t),
		}
	default:
		return schemas.Tag{
			Match: "node=" + id(t), Set: "team=" + id(t), From: instant(t), To: maybe(t), Priority: rapid.Int64Range(-5, 5).Draw(t, "priority"),
		}
	}
}

func sample(t *rapid.T) contract.Sample {
	return contract.Sample{
		Node: id(t), Series: schemas.Series{GPU: id(t), Slice: text(t), Model: text(t), Interval: rapid.Uint32Range(0, 1<<31).Draw(t, "interval"), MemoryTotal: amount(t)},
		TS: instant(t), Utilization: fraction(t), SMActive: fraction(t), TensorActive: fraction(t), DRAMActive: fraction(t),
		MemoryUsed: amount(t), Power: milli(t), Energy: amount(t), Temperature: rapid.Int16().Draw(t, "temperature"),
	}
}

func allocation(t *rapid.T) schemas.Allocation {
	a := schemas.Allocation{
		TS: instant(t), Event: rapid.SampledFrom([]string{schemas.EventStart, schemas.EventUpdate, schemas.EventEnd}).Draw(t, "event"),
		Allocation: id(t), User: text(t), Name: text(t), Namespace: text(t), Image: text(t),
		HasGPUs: rapid.Bool().Draw(t, "has gpus"), HasLabels: rapid.Bool().Draw(t, "has labels"),
		ReqGPUs: rapid.Int64Range(-1, 9).Draw(t, "asked"), ReqWalltime: rapid.Int64Range(-1, 9).Draw(t, "walltime"), SubmittedAt: maybe(t),
		State: rapid.SampledFrom([]string{"", "completed", "failed"}).Draw(t, "state"),
	}
	if a.HasGPUs && rapid.Bool().Draw(t, "some") {
		a.GPUs = []schemas.GPURef{
			{Node: "n1", GPU: id(t), Slice: text(t), Share: rapid.Int32Range(1, 1_000_000).Draw(t, "share")},
			{Node: "n2", GPU: id(t)},
		}
	}
	if a.HasLabels && rapid.Bool().Draw(t, "some") {
		a.Labels = []schemas.Label{{Key: "", Value: text(t)}, {Key: "k " + text(t), Value: text(t)}}
	}
	if n := rapid.IntRange(0, 3).Draw(t, "words"); n > 0 {
		a.Command = rapid.SliceOfN(rapid.Custom(text), n, n).Draw(t, "command")
	}
	return a
}

func instant(t *rapid.T) int64 { return rapid.Int64Range(0, 4_102_444_800_000).Draw(t, "instant") }

func maybe(t *rapid.T) int64 {
	return rapid.SampledFrom([]int64{0, 1_780_275_600_000, 1}).Draw(t, "optional instant")
}

func fraction(t *rapid.T) uint32 {
	return rapid.OneOf(rapid.Just(schemas.Absent32), rapid.Uint32Range(0, 1_000_000)).Draw(t, "fraction")
}

func milli(t *rapid.T) uint32 { return rapid.Uint32().Draw(t, "milli") }

func amount(t *rapid.T) uint64 {
	return rapid.OneOf(rapid.Just(schemas.Absent64), rapid.Uint64Range(0, 1<<62)).Draw(t, "amount")
}

// text is any text of one line; id is one that is not empty.
func text(t *rapid.T) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(rapid.StringN(0, 8, -1).Draw(t, "text"), "?"))
}

func id(t *rapid.T) string {
	return rapid.StringMatching(`[A-Za-z0-9<>&/_.-]{1,8}`).Draw(t, "id")
}

// A recording is not written over: half of one and half of another is no input.
func TestARecordingIsNotContinued(t *testing.T) {
	dir := t.TempDir()
	r, err := New(dir, &said{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir, &said{}); !errors.Is(err, os.ErrExist) {
		t.Errorf("%v", err)
	}
}

// What was refused is passed on, and is no event.
func TestDeadLettersArePassedOn(t *testing.T) {
	var passed said
	r, err := New(t.TempDir(), &passed)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.DeadLetter(schemas.DeadLetter{Reason: schemas.ReasonBadJSON}); err != nil || len(passed.rows) != 1 || r.Rows() != 0 {
		t.Errorf("%v, %v", passed.rows, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// A full disk ends the run: what is not recorded cannot be recomputed.
func TestARowThatCannotBeWrittenIsNotPassedOn(t *testing.T) {
	var passed said
	r, err := New(t.TempDir(), &passed)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 1<<16) // more than is kept in memory
	if err := r.Allocation(schemas.Allocation{Allocation: long}); err == nil || !strings.Contains(err.Error(), "record allocations") || len(passed.rows) != 0 {
		t.Errorf("%v, %d rows", err, len(passed.rows))
	}
}

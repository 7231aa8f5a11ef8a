package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const at = 1_780_275_600_000 // 2026-06-01T01:00:00Z

const (
	minute = int64(60_000)
	hour   = 60 * minute
)

// configure is a fleet of n GPUs at the slowest cadence.
func configure(seed uint64, n int) Config {
	cfg := DefaultConfig()
	cfg.Seed, cfg.GPUs, cfg.Interval, cfg.Start = seed, n, 10*time.Second, time.UnixMilli(at)
	return cfg
}

func make1(t interface{ Fatal(...any) }, cfg Config) *Fleet {
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A tape takes rows down: as they are, as far as a test asks for them, and as a
// sum over all of them in their order.
type tape struct {
	sum         uint64
	last        int64
	disorder    error
	sample      func(*contract.Sample)
	allocations []schemas.Allocation
	resources   []schemas.Resource
	prices      []schemas.Price
	tags        []schemas.Tag
	processes   []schemas.Process
	samples     int
}

func (r *tape) row(ts int64, row any) error {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %+v", r.sum, row)
	r.sum = h.Sum64()
	if ts != 0 {
		if ts < r.last && r.disorder == nil {
			r.disorder = fmt.Errorf("an event at %d comes after one at %d: %+v", ts-at, r.last-at, row)
		}
		r.last = ts
	}
	return r.disorder
}

func (r *tape) Sample(s *contract.Sample) error {
	r.samples++
	if r.sample != nil {
		r.sample(s)
	}
	if r.samples%97 == 0 { // hashing all of them would take longer than making them
		return r.row(s.TS, *s)
	}
	return nil
}

func (r *tape) Allocation(a schemas.Allocation) error {
	r.allocations = append(r.allocations, a)
	return r.row(a.TS, a)
}

func (r *tape) Process(p schemas.Process) error {
	r.processes = append(r.processes, p)
	return r.row(p.TS, p)
}

func (r *tape) Resource(x schemas.Resource) error {
	r.resources = append(r.resources, x)
	return r.row(0, x)
}

func (r *tape) Price(x schemas.Price) error {
	r.prices = append(r.prices, x)
	return r.row(0, x)
}

func (r *tape) Tag(x schemas.Tag) error {
	r.tags = append(r.tags, x)
	return r.row(0, x)
}

func (r *tape) DeadLetter(x schemas.DeadLetter) error { return fmt.Errorf("a dead letter: %+v", x) }

// record runs a fleet to until, in the given steps before, and gives what it
// handed over and the bytes of its truth.
func record(t interface{ Fatal(...any) }, cfg Config, until int64, steps ...int64) (*tape, []byte) {
	f, r := make1(t, cfg), &tape{}
	var b bytes.Buffer
	lines, err := f.Record(&b)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(steps, until) {
		if err := f.Step(f.Start()+s, r); err != nil {
			t.Fatal(err)
		}
		if err := lines.Write(f.Ended()); err != nil {
			t.Fatal(err)
		}
	}
	if err := lines.Write(f.Open()); err != nil {
		t.Fatal(err)
	}
	return r, b.Bytes()
}

// TestStepsDoNotMatter: the events and the truth of a span are the same however
// the span is cut.
func TestStepsDoNotMatter(t *testing.T) {
	cfg := configure(3, 64)
	want, truth := record(t, cfg, hour)
	rapid.Check(t, func(t *rapid.T) {
		steps := rapid.SliceOfN(rapid.Int64Range(-1000, hour), 0, 40).Draw(t, "steps")
		slices.Sort(steps)
		got, same := record(t, cfg, hour, steps...)
		if got.sum != want.sum || got.samples != want.samples {
			t.Errorf("%d samples and other rows, want %d", got.samples, want.samples)
		}
		if !bytes.Equal(truth, same) {
			t.Errorf("another truth:\n%s\nwant\n%s", same, truth)
		}
	})
}

// TestTruthHasNoWallClock: what is true of a seed has no wall-clock
// part, while ids of events have.
func TestTruthHasNoWallClock(t *testing.T) {
	cfg := configure(5, 64)
	here, truth := record(t, cfg, 2*hour)
	cfg.Start = time.UnixMilli(at + 123_456_789)
	there, same := record(t, cfg, 2*hour)
	if !bytes.Equal(truth, same) {
		t.Error("the truth of one seed differs with the start")
	}
	if len(here.allocations) != len(there.allocations) || here.allocations[0].Allocation == there.allocations[0].Allocation {
		t.Errorf("allocation %q of both starts", here.allocations[0].Allocation)
	}
	if here.resources[0].GPUs[0] == there.resources[0].GPUs[0] || here.resources[0].Resource != there.resources[0].Resource {
		t.Errorf("%+v and %+v: want one resource with other GPUs", here.resources[0], there.resources[0])
	}
	cfg.Seed++
	if _, other := record(t, cfg, 2*hour); bytes.Equal(truth, other) {
		t.Error("another seed has the same truth")
	}
}

func TestTruthLines(t *testing.T) {
	_, truth := record(t, configure(5, 64), 2*hour)
	lines := json.NewDecoder(bytes.NewReader(truth))
	var header struct{ Fleet Header }
	if err := lines.Decode(&header); err != nil || header.Fleet != (Header{5, 64, 10_000}) {
		t.Errorf("header %+v (%v)", header, err)
	}
	n := 0
	for {
		var line Truth
		if err := lines.Decode(&line); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if line.Allocation == "" || line.Class == "" || len(line.GPUs) == 0 || line.Team == "" {
			t.Errorf("%+v lacks something", line)
		}
		n++
	}
	if n < 40 {
		t.Errorf("%d allocations in two hours of 64 GPUs", n)
	}
}

package engine_test

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// An input is what an input directory holds, refused lines left out, event by
// event: samples are batches of one row.
type input struct {
	samples     []*schemas.Samples
	allocations []schemas.Allocation
	resources   []schemas.Resource
	prices      []schemas.Price
	tags        []schemas.Tag
	horizon     int64
	from        int64 // of the ledger, 0 = none
}

// load reads an input directory as replay does.
func load(t *testing.T, dir string) *input {
	t.Helper()
	in := &input{horizon: math.MinInt64}
	for _, file := range contract.Files() {
		f, err := os.Open(filepath.Join(dir, file.Name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		in.read(t, contract.NewReader(file, f), file.Stream)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if until, ok := untilOf(t, dir); ok {
		in.horizon = until
	}
	return in
}

func (in *input) read(t *testing.T, r *contract.Reader, stream string) {
	for {
		err := r.Next()
		var refused *contract.Error
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &refused):
			t.Logf("%s: %v", r.Place(), err)
			continue
		case err != nil:
			t.Fatal(err)
		}
		in.take(r, stream)
	}
}

func (in *input) take(r *contract.Reader, stream string) {
	switch stream {
	case schemas.StreamSamples:
		var b contract.Batch
		if in.exists(r.Sample.TS) {
			b.Add(&r.Sample)
			in.samples = append(in.samples, &b.Samples)
		}
	case schemas.StreamProcesses:
		in.exists(r.Process.TS)
	case schemas.StreamAllocations:
		if in.exists(r.Allocation.TS) {
			a := r.Allocation
			a.GPUs, a.Labels, a.Command = slices.Clone(a.GPUs), slices.Clone(a.Labels), slices.Clone(a.Command)
			in.allocations = append(in.allocations, a)
		}
	case schemas.StreamResources:
		res := r.Resource
		res.GPUs = slices.Clone(res.GPUs)
		in.resources = append(in.resources, res)
	case schemas.StreamPrices:
		in.prices = append(in.prices, r.Price)
	case schemas.StreamTags:
		in.tags = append(in.tags, r.Tag)
	}
}

// exists is rule 1's bound on event times, with the run at 2030; an event inside
// it may be the horizon.
func (in *input) exists(ts int64) bool {
	if ts < time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() || ts > time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() {
		return false
	}
	in.horizon = max(in.horizon, ts)
	return true
}

// instantIn reads a file that holds Unix ms; ok is false when there is none.
func instantIn(t *testing.T, path string) (ms int64, ok bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	if ms, err = strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return ms, true
}

// untilOf is the horizon that a case's WHY.md or until file names.
func untilOf(t *testing.T, dir string) (int64, bool) {
	if v, ok := instantIn(t, filepath.Join(dir, "until")); ok {
		return v, true
	}
	why, err := os.ReadFile(filepath.Join(dir, "WHY.md"))
	if err != nil {
		return 0, false
	}
	m := regexp.MustCompile(`--until (\d+)`).FindSubmatch(why)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatalf("%s/WHY.md: %v", dir, err)
	}
	return v, true
}

// config is what replay uses by default.
func config() engine.Config {
	return engine.Config{
		Window: 60_000, Grace: 30_000, EarlyEvery: 10_000, KeepSamples: 45 * 24 * 3_600_000,
		Epsilon: 10_000, IdleMemory: 1 << 30, ReportPrices: true,
	}
}

func newEngine(t rapid.TB, cfg engine.Config) *engine.Engine {
	t.Helper()
	e, err := engine.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// config is the rules that in is about.
func (in *input) config() engine.Config {
	cfg := config()
	cfg.From = in.from
	return cfg
}

// configOf is what a case asks for.
func configOf(t *testing.T, dir string) engine.Config {
	cfg := config()
	cfg.From, _ = instantIn(t, filepath.Join(dir, "from"))
	return cfg
}

// feed gives an engine everything.
func (in *input) feed(e *engine.Engine) {
	for _, add := range in.adds() {
		add(e)
	}
}

// adds is one call for each event, in file order.
func (in *input) adds() []func(*engine.Engine) {
	var all []func(*engine.Engine)
	for i := range in.resources {
		all = append(all, func(e *engine.Engine) { e.AddResource(&in.resources[i]) })
	}
	for i := range in.prices {
		all = append(all, func(e *engine.Engine) { e.AddPrice(&in.prices[i]) })
	}
	for i := range in.tags {
		all = append(all, func(e *engine.Engine) { e.AddTag(&in.tags[i]) })
	}
	for i := range in.allocations {
		all = append(all, func(e *engine.Engine) { e.AddAllocation(&in.allocations[i]) })
	}
	for _, s := range in.samples {
		all = append(all, func(e *engine.Engine) { e.AddSamples(s) })
	}
	return all
}

package property

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// drawOptions are of small inputs, most of them with some features only, for a
// failure to shrink to those that matter.
func drawOptions(r *rapid.T) generate.Options {
	opt := generate.Defaults()
	opt.Seed = rapid.Uint64Range(1, 1<<30).Draw(r, "seed")
	opt.Nodes = rapid.IntRange(1, 2).Draw(r, "nodes")
	opt.GPUsPerNode = rapid.IntRange(1, 3).Draw(r, "gpus per node")
	opt.Interval = rapid.SampledFrom([]int64{60_000, 10_000, 7_001}).Draw(r, "interval")
	opt.Duration = rapid.Int64Range(1, 25).Draw(r, "minutes") * 60_000
	opt.Jobs = rapid.IntRange(1, 12).Draw(r, "jobs")
	opt.Features = generate.Features(rapid.Uint32Range(0, uint32(generate.All)).Draw(r, "features"))
	return opt
}

func drawDelivery(r *rapid.T) delivery {
	return delivery{
		seed:    rapid.Uint64Range(0, 1<<20).Draw(r, "delivery"),
		shuffle: rapid.Bool().Draw(r, "shuffle"),
		repeat:  rapid.IntRange(0, 20).Draw(r, "repeat"),
		steps:   rapid.IntRange(0, 6).Draw(r, "steps"),
		batch:   rapid.SampledFrom([]int{1, 20, 1000}).Draw(r, "batch"),
		engines: rapid.IntRange(1, 2).Draw(r, "engines"),
		window:  rapid.SampledFrom([]int64{60_000, 20_000, 3_600_000}).Draw(r, "window"),
		epsilon: rapid.SampledFrom([]int64{10_000, 0, 50_000}).Draw(r, "epsilon"),
		hot:     rapid.SampledFrom([]int64{-1, 0, 0, 30_000, 400_000}).Draw(r, "hot"),
	}
}

func TestEngineIsTheOracle(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			r.Fatal(err)
		}
		opt := drawOptions(r)
		if _, err := generate.Write(dir, opt); err != nil {
			r.Fatal(err)
		}
		d := drawDelivery(r)
		if rapid.Bool().Draw(r, "until") {
			d.until = opt.Start + rapid.Int64Range(1, 2*opt.Duration).Draw(r, "horizon")
		}
		if rapid.IntRange(0, 2).Draw(r, "ledger.from") == 0 {
			d.from = opt.Start + rapid.Int64Range(0, opt.Duration).Draw(r, "from")
		}
		if why := difference(dir, d); why != "" {
			r.Fatalf("features %s: %s", opt.Features, why)
		}
	})
}

// difference compares the engine with the oracle over one directory; empty means none.
func difference(dir string, d delivery) string {
	in, err := readInput(dir)
	if err != nil {
		return err.Error()
	}
	ledger, err := oracle.Recompute(dir, d.options())
	if err != nil {
		return err.Error()
	}
	if len(in.events) == 0 || in.horizon == 0 {
		return ""
	}
	if d.until != 0 {
		in.horizon = d.until
	}
	if in.horizon != ledger.Horizon {
		return fmt.Sprintf("the events end at %d, the oracle says %d", in.horizon, ledger.Horizon)
	}
	got, err := d.run(in)
	if err != nil {
		return err.Error()
	}
	want := slices.Collect(ledger.Rows())
	for i := range want {
		if len(want[i].Labels) == 0 {
			want[i].Labels = nil
		}
		if i >= len(got) || !reflect.DeepEqual(got[i], want[i]) {
			return fmt.Sprintf("row %d of %d (engine: %d)\n%s", i, len(want), len(got), diff(got, i, want[i]))
		}
	}
	if len(got) > len(want) {
		return fmt.Sprintf("a row too many: %+v", got[len(want)])
	}
	return ""
}

func diff(got []oracle.Row, i int, want oracle.Row) string {
	if i >= len(got) || got[i].Compare(&want) != 0 {
		other := "nothing"
		if i < len(got) {
			other = fmt.Sprintf("%+v", got[i])
		}
		return fmt.Sprintf("oracle %+v\nengine %s", want, other)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%+v\n", want)
	g, w := reflect.ValueOf(got[i]), reflect.ValueOf(want)
	for k := range g.NumField() {
		if !reflect.DeepEqual(g.Field(k).Interface(), w.Field(k).Interface()) {
			fmt.Fprintf(&b, "%s: engine %v, oracle %v\n", g.Type().Field(k).Name, g.Field(k), w.Field(k))
		}
	}
	return b.String()
}

// TestMinimal makes an input that was found to differ as small as it goes: set
// GPUMETER_CASE to its directory, and GPUMETER_DELIVERY to "seed shuffle repeat
// steps batch engines window epsilon until hot from" of the failure. It prints the lines that are left.
func TestMinimal(t *testing.T) {
	dir := os.Getenv("GPUMETER_CASE")
	if dir == "" {
		t.Skip("GPUMETER_CASE names no directory to make smaller")
	}
	d := delivery{seed: 1, batch: 1000, engines: 1, window: 60_000, epsilon: 10_000, hot: -1}
	if text := os.Getenv("GPUMETER_DELIVERY"); text != "" {
		if _, err := fmt.Sscan(text, &d.seed, &d.shuffle, &d.repeat, &d.steps, &d.batch, &d.engines, &d.window, &d.epsilon, &d.until, &d.hot, &d.from); err != nil {
			t.Fatal(err)
		}
	}
	work := t.TempDir()
	if err := os.CopyFS(work, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if difference(work, d) == "" {
		t.Fatal("engine and oracle agree")
	}
	names := []string{"tags.csv", "processes.ndjson", "allocations.ndjson", "samples.ndjson", "prices.csv", "resources.ndjson"}
	for range 3 {
		for _, name := range names {
			shrink(t, filepath.Join(work, name), func() bool { return difference(work, d) != "" })
		}
	}
	for _, name := range names {
		text, _ := os.ReadFile(filepath.Join(work, name))
		t.Logf("%s\n%s", name, text)
	}
	t.Fatal(difference(work, d))
}

// shrink takes as many lines out of a file as it can while fails stays true.
func shrink(t *testing.T, path string, fails func() bool) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		return
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	first := 0
	if strings.HasSuffix(path, ".csv") {
		first = 1
	}
	write := func(lines [][]byte) {
		if err := os.WriteFile(path, bytes.Join(lines, nil), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for size := len(lines); size > 0; size /= 2 {
		for i := first; i < len(lines); {
			fewer := slices.Concat(lines[:i], lines[min(i+size, len(lines)):])
			if write(fewer); fails() {
				lines = fewer
			} else {
				i += size
			}
		}
	}
	write(lines)
}

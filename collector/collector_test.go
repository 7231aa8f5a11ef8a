package collector_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"

	"github.com/gpumeter/gpumeter/collector"
	"github.com/gpumeter/gpumeter/collector/publish"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const at = 1_780_275_600_000 // 2026-06-01T01:00:00Z

// now is the clock of all runs.
func now() time.Time { return time.UnixMilli(at + 3_600_000) }

func environment() collector.Env {
	return collector.Env{Log: slog.New(slog.DiscardHandler), Meter: noop.Meter{}, Now: now}
}

func config(k kafka, dir string) collector.Config {
	cfg := collector.DefaultConfig()
	cfg.Broker, cfg.Source.Files.Dir, cfg.Topics.Partitions = k.config, dir, 3
	cfg.Source.Files.Poll = 2 * time.Millisecond
	return cfg
}

// directory writes files by name.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		put(t, filepath.Join(dir, name), text)
	}
	return dir
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// parse reads what a file holds, as the contract says.
func parse(t *testing.T, name, text string, row func(*contract.Reader)) {
	t.Helper()
	i := slices.IndexFunc(contract.Files(), func(f contract.File) bool { return f.Name == name })
	r := contract.NewReader(contract.Files()[i], strings.NewReader(text))
	for {
		err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		row(r)
	}
}

const (
	allocationsFile = `{"ts":1780275700000,"event":"end","allocation":"a","state":"completed"}
{"ts":1780275600000,"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","share":0.25}],"labels":{"team":"red"},"command":["x"]}
{"ts":1780275600000,"event":"start","allocation":"a","gpus":[{"node":"n1","gpu":"g0","share":0.25}],"labels":{"team":"red"},"command":["x"]}
{"ts":1780275650000,"event":"update","allocation":"b","gpus":[]}
`
	resourcesFile = `{"node":"n1","resource":"r1","provider":"aws","sku":"x","gpus":["g1","g0"],"from":1780275600000,"scheduler":true}
{"node":"n2","resource":"r2","provider":"aws","sku":"x","gpus":["g0"],"from":"2026-06-01T01:00:00Z","to":"2026-06-01T02:00:00Z","idle_watts":60}
`
	pricesFile = `provider,region,sku,pricing_category,currency,price_per_hour,effective_from,effective_to,known_at
aws,,x,on_demand,USD,3.6,2026-01-01T00:00:00Z,,
aws,,x,spot,USD,1.2,2026-01-01T00:00:00Z,,
`
	tagsFile = `match,set,effective_from,effective_to,priority
allocation=a*,team=green,2026-01-01T00:00:00Z,,5
`
	processesFile = `{"ts":1780275610000,"node":"n1","gpu":"g0","pid":1,"sm_utilization":0.5}
{"ts":1780275605000,"node":"n1","gpu":"g0","pid":1,"memory_used_bytes":7}
`
)

// manySamples is a file of samples of some nodes, in no order and with repeats.
func manySamples(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, `{"ts":%d,"node":"n%d","gpu":"g%d","utilization":%.3f,"power_watts":%d}`+"\n",
			at+1000*random.IntN(600), random.IntN(7), random.IntN(4), random.Float64(), random.IntN(700))
	}
	return b.String()
}

func TestFilesArriveEqual(t *testing.T) {
	k := newKafka(t)
	samplesFile := manySamples(5000)
	dir := directory(t, map[string]string{
		"samples.ndjson": samplesFile, "processes.ndjson": processesFile, "allocations.ndjson": allocationsFile,
		"resources.ndjson": resourcesFile, "prices.csv": pricesFile, "tags.csv": tagsFile, "budgets.csv": "not read yet\n",
	})
	cfg := config(k, dir)
	cfg.Batch.Rows = 100
	stats, err := collector.Run(t.Context(), cfg, environment())
	if err != nil {
		t.Fatal(err)
	}

	var allocations []schemas.Allocation
	parse(t, "allocations.ndjson", allocationsFile, func(r *contract.Reader) { allocations = append(allocations, r.Allocation) })
	equalRows(t, k, schemas.StreamAllocations, allocations)
	var resources []schemas.Resource
	parse(t, "resources.ndjson", resourcesFile, func(r *contract.Reader) { resources = append(resources, r.Resource) })
	equalRows(t, k, schemas.StreamResources, resources)
	var prices []schemas.Price
	parse(t, "prices.csv", pricesFile, func(r *contract.Reader) { prices = append(prices, r.Price) })
	equalRows(t, k, schemas.StreamPrices, prices)
	var tags []schemas.Tag
	parse(t, "tags.csv", tagsFile, func(r *contract.Reader) { tags = append(tags, r.Tag) })
	equalRows(t, k, schemas.StreamTags, tags)
	var processes []schemas.Process
	parse(t, "processes.ndjson", processesFile, func(r *contract.Reader) { processes = append(processes, r.Process) })
	equalRows(t, k, schemas.StreamProcesses, processes)
	equalSamples(t, k, samplesFile, 100)

	for stream, rows := range map[string]int64{"samples": 5000, "processes": 2, "allocations": 4, "resources": 2, "prices": 2, "tags": 1} {
		s := stats.Streams[stream]
		if s.Rows != rows || s.Acknowledged != rows || s.Batches == 0 || s.Bytes == 0 {
			t.Errorf("%s: %+v, want %d rows", stream, s, rows)
		}
	}
	if len(stats.DeadLetters) != 0 || len(stats.Ignored) != 0 {
		t.Errorf("dead letters %v, ignored fields %v, want none", stats.DeadLetters, stats.Ignored)
	}
	if want := int64(at + 599_000); stats.MaxEvent != want {
		t.Errorf("greatest event %d, want %d", stats.MaxEvent, want)
	}
}

// equalRows: the rows of a stream are those of the file, in its order.
func equalRows[T interface {
	schemas.Allocation | schemas.Resource | schemas.Price | schemas.Tag | schemas.Process
}](t *testing.T, k kafka, stream string, want []T) {
	t.Helper()
	if got := rows[T](t, k, stream); !reflect.DeepEqual(got, want) {
		t.Errorf("%s\ngot  %+v\nwant %+v", stream, got, want)
	}
}

// equalSamples: batch k of a node holds the node's k-th batch rows of the file.
// Within a record the rows may be in any order.
func equalSamples(t *testing.T, k kafka, file string, batchRows int) {
	t.Helper()
	want := map[string][]contract.Sample{}
	parse(t, "samples.ndjson", file, func(r *contract.Reader) { want[r.Sample.Node] = append(want[r.Sample.Node], r.Sample) })
	for _, batch := range k.samples(t) {
		node := batch[0].Node
		if len(batch) > batchRows || len(batch) > len(want[node]) {
			t.Fatalf("a batch of %d rows of %s, %d are left", len(batch), node, len(want[node]))
		}
		next := want[node][:len(batch)]
		if got, want := count(batch), count(next); !maps.Equal(got, want) {
			t.Fatalf("batch of %s\ngot  %+v\nwant %+v", node, got, want)
		}
		want[node] = want[node][len(batch):]
	}
	for node, left := range want {
		if len(left) > 0 {
			t.Errorf("%d samples of %s are missing", len(left), node)
		}
	}
}

func count(samples []contract.Sample) map[contract.Sample]int {
	n := map[contract.Sample]int{}
	for _, s := range samples {
		n[s]++
	}
	return n
}

// TestBadInput is the matrix of what a file may hold that it should not: each
// is told by place and reason, and the rest is unharmed.
func TestBadInput(t *testing.T) {
	const good = `{"ts":1780275600000,"node":"n1","gpu":"g0"}` + "\n"
	for _, c := range []struct {
		name, file, text string
		rows             int64    // that are published all the same
		letters          []string // stream place reason
		ignored          map[publish.Field]int64
		maxEvent         int64
	}{
		{
			name: "unknown field", file: "samples.ndjson", text: good + `{"ts":1780275600000,"node":"n1","gpu":"g0","color":"red","shape":{}}` + "\n" + `{"ts":1780275600000,"node":"n1","gpu":"g0","color":1}`,
			rows: 3, ignored: map[publish.Field]int64{{Stream: "samples", Name: "color"}: 2, {Stream: "samples", Name: "shape"}: 1}, maxEvent: at,
		},
		{name: "unknown column", file: "tags.csv", text: "match,set,effective_from,owner\nuser=a,team=b,1,c\n", rows: 1, ignored: map[publish.Field]int64{{Stream: "tags", Name: "owner"}: 1}},
		{name: "bad number", file: "samples.ndjson", text: `{"ts":1780275600000,"node":"n1","gpu":"g0","utilization":"high"}` + "\n" + good, rows: 1, letters: []string{"samples samples.ndjson:1 bad_number"}, maxEvent: at},
		{name: "negative price", file: "prices.csv", text: pricesFile + "aws,,x,spot,USD,-1,1,,\n", rows: 2, letters: []string{"prices prices.csv:4 bad_number"}},
		{name: "share of 1.5", file: "allocations.ndjson", text: allocationsFile + `{"ts":1780275600000,"event":"start","allocation":"c","gpus":[{"node":"n1","gpu":"g0","share":1.5}]}` + "\n", rows: 4, letters: []string{"allocations allocations.ndjson:5 bad_share"}, maxEvent: at + 100_000},
		{name: "1970 and 2100 are for the processor to judge", file: "samples.ndjson", text: good + `{"ts":"1970-01-01T00:00:00Z","node":"n1","gpu":"g0"}` + "\n" + `{"ts":"2100-01-01T00:00:00Z","node":"n1","gpu":"g0"}`, rows: 3, maxEvent: at},
		{name: "the last instant that counts", file: "samples.ndjson", text: fmt.Sprintf(`{"ts":%d,"node":"n1","gpu":"g0"}`, at+3_600_000+600_000) + "\n" + fmt.Sprintf(`{"ts":%d,"node":"n1","gpu":"g0"}`, at+3_600_000+600_001), rows: 2, maxEvent: at + 4_200_000},
		{name: "truncated", file: "samples.ndjson", text: good + good[:20], rows: 1, letters: []string{"samples samples.ndjson:2 truncated"}, maxEvent: at},
		{name: "random bytes", file: "resources.ndjson", text: "\x00\xff\n" + resourcesFile + "\x1f\x8b\x08\n", rows: 2, letters: []string{"resources resources.ndjson:1 bad_json", "resources resources.ndjson:4 bad_json"}},
		{name: "a line of two megabytes", file: "samples.ndjson", text: good + strings.Repeat("x", 2<<20) + "\n" + good, rows: 2, letters: []string{"samples samples.ndjson:2 too_long"}, maxEvent: at},
		{name: "no file but an empty one", file: "samples.ndjson", text: ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKafka(t)
			stats, err := collector.Run(t.Context(), config(k, directory(t, map[string]string{c.file: c.text})), environment())
			if err != nil {
				t.Fatal(err)
			}
			stream, _, _ := strings.Cut(c.file, ".")
			if got := stats.Streams[stream]; got.Rows != c.rows || got.Acknowledged != c.rows {
				t.Errorf("%+v, want %d rows", got, c.rows)
			}
			var letters []string
			byReason := map[string]int64{}
			for _, l := range rows[schemas.DeadLetter](t, k, schemas.StreamDeadLetters) {
				letters = append(letters, l.Stream+" "+l.Place+" "+l.Reason)
				byReason[l.Reason]++
				if l.Detail == "" || len(l.Payload) == 0 || len(l.Payload) > schemas.MaxPayload || l.Count != 1 {
					t.Errorf("letter with detail %q, %d bytes, count %d", l.Detail, len(l.Payload), l.Count)
				}
			}
			if !slices.Equal(letters, c.letters) || !maps.Equal(byReason, stats.DeadLetters) {
				t.Errorf("letters %q (counted %v), want %q", letters, stats.DeadLetters, c.letters)
			}
			if !maps.Equal(stats.Ignored, c.ignored) || stats.MaxEvent != c.maxEvent {
				t.Errorf("ignored %v, greatest event %d, want %v and %d", stats.Ignored, stats.MaxEvent, c.ignored, c.maxEvent)
			}
		})
	}
}

func TestNothingToRead(t *testing.T) {
	k := newKafka(t)
	for dir, want := range map[string]string{
		t.TempDir():                           "holds none of resources.ndjson",
		filepath.Join(t.TempDir(), "missing"): "no such file",
		filepath.Join(directory(t, map[string]string{"file": ""}), "file"): "is a file",
		"": "source.files.dir: not given",
	} {
		if _, err := collector.Run(t.Context(), config(k, dir), environment()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", dir, err, want)
		}
	}
}

func TestSomeFilesMayBeMissing(t *testing.T) {
	k := newKafka(t)
	stats, err := collector.Run(t.Context(), config(k, directory(t, map[string]string{"prices.csv": pricesFile})), environment())
	if err != nil || stats.Streams["prices"].Acknowledged != 2 {
		t.Errorf("%+v (%v), want 2 prices", stats, err)
	}
}

func TestBatchModeCanBeStopped(t *testing.T) {
	k := newKafka(t)
	ctx, cancel := context.WithCancel(t.Context())
	env := environment()
	env.Ready = func(func() publish.Stats) { cancel() }
	stats, err := collector.Run(ctx, config(k, directory(t, map[string]string{"samples.ndjson": manySamples(1000)})), env)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want that it was stopped before the end", err)
	}
	if s := stats.Streams["samples"]; s.Rows != s.Acknowledged {
		t.Errorf("%+v: rows were lost at the stop", s)
	}
}

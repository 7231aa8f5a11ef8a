package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/deploy/replay"
)

// generated writes a small cluster with every oddity that the generator knows.
func generated(t *testing.T, seed uint64) (dir string) {
	t.Helper()
	o := generate.Defaults()
	o.Seed = seed
	t.Logf("generate seed %d", seed)
	dir = t.TempDir()
	if _, err := generate.Write(dir, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestOrderAndRepetitionDoNotMatter replays one cluster as it is, shuffled and
// partly repeated, and cut into halves that come one after the other.
func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	dir := generated(t, 7)
	dsn, conn := engine(t)
	replayed(t, dsn, t.TempDir(), dir)
	want := ledger(t, conn)

	shuffled, repeated := t.TempDir(), t.TempDir()
	if err := errors.Join(generate.Shuffle(dir, shuffled, 7), generate.Repeat(shuffled, repeated, 5, 7)); err != nil {
		t.Fatal(err)
	}
	dsn, conn = engine(t)
	replayed(t, dsn, t.TempDir(), repeated)
	same(t, ledger(t, conn), want)

	first, second := halves(t, repeated)
	dsn, conn = engine(t)
	data := t.TempDir()
	replayed(t, dsn, data, first)
	if summary := replayed(t, dsn, data, second); summary.Totals.Rows != uint64(len(want)) {
		t.Errorf("the summary counts %d rows of %d", summary.Totals.Rows, len(want))
	}
	same(t, ledger(t, conn), want)
}

// halves deals the lines of each file out to two directories.
func halves(t *testing.T, dir string) (first, second string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	var parts [2]map[string]string
	for i := range parts {
		parts[i] = map[string]string{}
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		lines := strings.SplitAfter(string(text), "\n")
		if strings.HasSuffix(name, ".csv") {
			parts[0][name], parts[1][name] = lines[0], lines[0]
			lines = lines[1:]
		}
		for i, line := range lines {
			parts[i%2][name] += line
		}
	}
	return write(t, parts[0]), write(t, parts[1])
}

// TestLaterReferenceDataRestates: a price that comes in a later replay, without
// any event, prices what was unpriced; the history keeps both.
func TestLaterReferenceDataRestates(t *testing.T) {
	files := oneHolder()
	price := files["prices.csv"]
	delete(files, "prices.csv")
	dsn, conn := engine(t)
	data := t.TempDir()
	before := replayed(t, dsn, data, write(t, files))
	if before.Totals.All.UnpricedMs != 60_000 || before.Totals.All.GPUMs != 60_000 {
		t.Errorf("before: %+v", before.Totals.All)
	}
	after := replayed(t, dsn, data, write(t, map[string]string{"prices.csv": price}))
	if after.Totals.All.UnpricedMs != 0 || after.Totals.All.ListCost["USD"] != "0.06" {
		t.Errorf("after: %+v", after.Totals.All)
	}
	if after.Horizon != before.Horizon {
		t.Errorf("the horizon moved from %v to %v", before.Horizon, after.Horizon)
	}
	history := rows(t, conn, "SELECT ifNull(toString(list_cost), 'NULL') FROM gpumeter.cost_history ORDER BY revision")
	if got := strings.Join(history, ", "); got != "NULL, 0.06" {
		t.Errorf("history: %s", got)
	}
}

// oneHolder is one GPU for a minute at 3.6 USD an hour.
func oneHolder() map[string]string {
	return map[string]string{
		"resources.ndjson":   `{"node":"n1","resource":"r1","provider":"aws","sku":"x","gpus":["g0"],"from":1780275600000,"scheduler":true}` + "\n",
		"allocations.ndjson": `{"ts":1780275600000,"event":"start","allocation":"a","user":"ann","gpus":[{"node":"n1","gpu":"g0"}]}` + "\n" + `{"ts":1780275660000,"event":"end","allocation":"a"}` + "\n",
		"samples.ndjson":     `{"ts":1780275630000,"node":"n1","gpu":"g0","utilization":0.5,"interval_seconds":10}` + "\n",
		"prices.csv":         "provider,region,sku,pricing_category,currency,price_per_hour,effective_from\naws,,x,on_demand,USD,3.6,2026-01-01T00:00:00Z\n",
	}
}

func TestOtherRulesForTheSameLedgerAreRefused(t *testing.T) {
	dsn, _ := engine(t)
	data, dir := t.TempDir(), write(t, oneHolder())
	replayed(t, dsn, data, dir)
	cfg := replay.DefaultConfig()
	cfg.Stack.Data, cfg.Stack.ClickHouse, cfg.Rules.Idle.Epsilon = data, dsn, 0.5
	_, err := replay.Run(t.Context(), cfg, dir, replay.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err == nil || !strings.Contains(err.Error(), "idle.epsilon=0.5") {
		t.Errorf("%v", err)
	}
}

func TestReferenceDataAloneIsAnEmptyLedger(t *testing.T) {
	files := oneHolder()
	delete(files, "samples.ndjson")
	delete(files, "allocations.ndjson")
	dsn, conn := engine(t)
	s := replayed(t, dsn, t.TempDir(), write(t, files))
	if s.Horizon != 0 || s.Totals.Rows != 0 || len(ledger(t, conn)) != 0 {
		t.Errorf("%+v", s)
	}
}

// TestReplayThatIsGivenUpStops: the end of its context ends a replay with the
// reason, and the same replay again completes the ledger.
func TestReplayThatIsGivenUpStops(t *testing.T) {
	dir := generated(t, 3)
	dsn, conn := engine(t)
	data := t.TempDir()
	cfg := replay.DefaultConfig()
	cfg.Stack.Data, cfg.Stack.ClickHouse = data, dsn
	gaveUp := errors.New("gave up")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(300*time.Millisecond, func() { cancel(gaveUp) })
	began := time.Now()
	_, err := replay.Run(ctx, cfg, dir, replay.Env{Log: slog.New(slog.DiscardHandler), Now: time.Now})
	if err == nil {
		t.Log("the replay was done before it could be given up")
	} else if !errors.Is(err, context.Canceled) && !errors.Is(err, gaveUp) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("took %v to stop", took)
	}
	replayed(t, dsn, data, dir)
	got := ledger(t, conn)

	dsn, conn = engine(t)
	replayed(t, dsn, t.TempDir(), dir)
	same(t, got, ledger(t, conn))
}

package demo

import (
	"bufio"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/deploy/stack"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// TestAlertsAreThoseOfTheTruth runs an hour of a fleet and holds the alerts in
// ClickHouse to what the fleet wrote of itself: each one, to one sample interval.
func TestAlertsAreThoseOfTheTruth(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Data, cfg.Seed, cfg.GPUs, cfg.Speed, cfg.For = filepath.Join(t.TempDir(), "data"), 3, 64, 450, 8*time.Second
	view := &shown{}
	s := show(t.Context(), t, cfg, view)
	end := span(cfg).Milliseconds()
	want, got := expected(t, s.Truth), alerts(t, cfg.Data, s.Horizon.UnixMilli()-end)
	if len(want) < 5 {
		t.Fatalf("the truth has %d alerts: choose another seed", len(want))
	}
	interval := cadence(cfg.Speed).Milliseconds()
	for _, allocation := range slices.Sorted(maps.Keys(want)) {
		// What is decided by the last samples may lie on either side of the end.
		if at, found := got[allocation]; !found && want[allocation] < end-2*interval {
			t.Errorf("%s: no alert at %d ms", allocation, want[allocation])
		} else if off := at - want[allocation]; found && (off < -interval || off > interval) {
			t.Errorf("%s: alert at %d ms, want %d", allocation, at, want[allocation])
		}
	}
	for allocation, at := range got {
		if _, is := want[allocation]; !is {
			t.Errorf("%s: an alert at %d ms that is not true", allocation, at)
		}
	}
	if s.Ledger.Alerts != uint64(len(got)) || s.Messages == 0 || len(view.last().Slack) == 0 {
		t.Errorf("the summary counts %d alerts of %d, and %d messages", s.Ledger.Alerts, len(got), s.Messages)
	}
}

// expected is when allocations become alerts, in ms since the start.
func expected(t *testing.T, name string) map[string]int64 {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, at := bufio.NewScanner(f), map[string]int64{}
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line fleet.Truth
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		for _, f := range line.Findings {
			if f.ThresholdAt != nil {
				at[line.Allocation] = *f.ThresholdAt
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return at
}

// alerts is when allocations became alerts by the ledger.
func alerts(t *testing.T, data string, start int64) map[string]int64 {
	t.Helper()
	where := stack.DefaultConfig()
	where.Data = data
	engine, done, err := stack.Engine(t.Context(), where, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := done(); err != nil {
			t.Error(err)
		}
	}()
	conn, err := clickhouse.Open(engine.ClickHouse)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	type alert struct {
		allocation string
		at         time.Time
	}
	list, err := rows(t.Context(), conn, "SELECT allocation, assumeNotNull(threshold_at) FROM gpumeter.findings WHERE severity = 'alert'",
		func(a *alert) []any { return []any{&a.allocation, &a.at} })
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int64{}
	for _, a := range list {
		at[path.Base(a.allocation)] = a.at.UnixMilli() - start
	}
	return at
}

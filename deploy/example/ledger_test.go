package example

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// lines gives a column of numbers and texts as one line for each row.
func lines(t *testing.T, url, sql string) []string {
	t.Helper()
	table := strings.Split(strings.TrimSpace(ask(t, url, sql)), "\n")
	return table[2:]
}

// The night has every state that is measured, what is not known, what was said
// before, and what was refused: else the documents show less than they say.
func TestLedgerHasWhatTheDocumentsShow(t *testing.T) {
	url, conn := ledger(t)
	for _, test := range []struct{ sql, want string }{
		{"SELECT arraySort(groupUniqArray(toString(state))) FROM gpumeter.cost", "| ['active','idle','idle_held','unallocated','unknown'] |"},
		{"SELECT count() > 0, sum(retracted) > 0 FROM gpumeter.cost_history WHERE known_at > first_reported_at", "| 1 | 1 |"},
		{"SELECT countIf(price_status = 'unpriced') > 0, uniqExact(price_id) FROM gpumeter.cost", "| 1 | 5 |"},
		{"SELECT arraySort(groupUniqArray(reason)) FROM gpumeter.dead_letters", "| ['bad_json','bad_number','no_resource'] |"},
		{"SELECT min(window_start), max(window_end) FROM gpumeter.cost", "| 2026-05-31 20:00:00.000 | 2026-06-01 04:00:00.000 |"},
		{"SELECT count(), countIf(status = 'open'), countIf(severity = 'notice') FROM gpumeter.findings", "| 3 | 1 | 1 |"},
		// Fourteen GPUs for eight hours; two of them without a price for four.
		{"SELECT sum(gpu_ms), sumIf(gpu_ms, price_status = 'unpriced') FROM gpumeter.cost", fmt.Sprintf("| %d | %d |", 14*8*time.Hour/time.Millisecond, 2*4*time.Hour/time.Millisecond)},
		// 2 h100x4 at 12.00 and 10.80, an a100x4 at 4.80, an l40sx2 at 1.20 an hour.
		{"SELECT sum(list_cost) FROM gpumeter.cost", "| 225.6 |"},
	} {
		if got := lines(t, url, test.sql); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s\n got %q\nwant %q", test.sql, got, test.want)
		}
	}
	var burnt, waste string // the findings were written by hand: they must fit the ledger
	if err := conn.QueryRow(t.Context(), `SELECT toString(f.burnt_cost), toString(c.waste)
FROM gpumeter.findings AS f
INNER JOIN (SELECT allocation, sum(waste_cost) AS waste FROM gpumeter.cost GROUP BY allocation) AS c ON c.allocation = f.allocation
WHERE f.allocation = 'slurm/alps/1001'`).Scan(&burnt, &waste); err != nil {
		t.Fatal(err)
	}
	if burnt != waste {
		t.Errorf("the finding burnt %s, the ledger says %s", burnt, waste)
	}
}

// Findings follow the rules of their revisions.
func TestFindingsAreRevisionsInOrder(t *testing.T) {
	newest := map[string]schemas.Finding{}
	for _, f := range findings() {
		before, seen := newest[f.Finding]
		if f.Revision != before.Revision+1 || f.UpdatedAt < before.UpdatedAt || f.BurntCost < before.BurntCost {
			t.Errorf("%s: revision %d does not follow %d", f.Finding, f.Revision, before.Revision)
		}
		if seen && (f.OpenedAt != before.OpenedAt || before.Severity == schemas.SeverityAlert && f.Severity != schemas.SeverityAlert) {
			t.Errorf("%s: revision %d takes back what was said", f.Finding, f.Revision)
		}
		if (f.ThresholdAt != 0) != (f.Severity == schemas.SeverityAlert) || (f.ResolvedAt != 0) != (f.Status == schemas.StatusResolved) {
			t.Errorf("%s: revision %d contradicts itself: %+v", f.Finding, f.Revision, f)
		}
		newest[f.Finding] = f
	}
	if len(newest) != 3 {
		t.Errorf("%d findings, want 3", len(newest))
	}
}

// Samples come in time with their GPU's others, none beyond the night.
func TestSamplesAreOfTheNight(t *testing.T) {
	dir := t.TempDir()
	if err := Write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, night, "samples.ndjson"))
	if err != nil {
		t.Fatal(err)
	}
	newest, count := map[string]int64{}, 0
	for line := range strings.Lines(strings.TrimSuffix(string(text), refused)) {
		var s struct {
			TS        int64
			Node, GPU string
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if s.TS <= newest[s.Node+s.GPU] || s.TS <= Begin().UnixMilli() || s.TS > End().UnixMilli() {
			t.Errorf("out of order or out of the night: %s", line)
		}
		newest[s.Node+s.GPU] = s.TS
		count++
	}
	if count == 0 || len(newest) != 13 { // the fourteenth says nothing all night
		t.Errorf("%d samples of %d GPUs", count, len(newest))
	}
}

package pipeline

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gpumeter/gpumeter/deploy/generate"
	"github.com/gpumeter/gpumeter/deploy/replay"
)

// TestRealJobs meters two days of a real cluster (216 jobs on 144 GPUs) and holds
// the sums to those of the accounting data that they were made from. The same
// with the lines shuffled and 5 % repeated.
func TestRealJobs(t *testing.T) {
	data := filepath.Join(sharedDir(t), "data")
	jobs, err := filepath.Glob(filepath.Join(data, "jobs/alex_a40_jobs.csv"))
	if err != nil || len(jobs) == 0 {
		t.Skip("no job data: set GPUMETER_SHARED to the directory that holds data/jobs")
	}
	dir := t.TempDir()
	if out, err := exec.Command("python3", filepath.Join(data, "tools/to_contract.py"), jobs[0], dir, "owned", "erlangen", "alex-a40", "16.80").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	shuffled, repeated := t.TempDir(), t.TempDir()
	if err := generate.Shuffle(dir, shuffled, 40); err != nil {
		t.Fatal(err)
	}
	if err := generate.Repeat(shuffled, repeated, 5, 40); err != nil {
		t.Fatal(err)
	}
	var first []string
	for _, input := range []string{dir, repeated} {
		dsn, conn := engine(t)
		s := replayed(t, dsn, t.TempDir(), input, func(c *replay.Config) { c.Rules.Idle.Epsilon = 0.05 })
		for _, sum := range []struct {
			what string
			got  replay.Money
			ms   int64
			cost string
		}{
			{"to allocations", s.Totals.Allocations, 7_831_326_000, "4568.273499999"},
			{"in all", s.Totals.All, 24_819_552_000, "14478.071999994"},
			{"idle", s.Totals.States["idle"], 149_757_000, "87.35825"},
			{"idle_held", s.Totals.States["idle_held"], 1_053_000, "0.614250001"},
		} {
			if sum.got.GPUMs != sum.ms || sum.got.ListCost["USD"] != sum.cost || sum.got.UnpricedMs != 0 {
				t.Errorf("%s: %+v, want %d ms and %s USD", sum.what, sum.got, sum.ms, sum.cost)
			}
		}
		if len(s.DeadLetters) != 0 || len(s.Ignored) != 0 {
			t.Errorf("dead letters %v, ignored %v", s.DeadLetters, s.Ignored)
		}
		const longAndIdle = `SELECT allocation FROM gpumeter.allocations AS a
			JOIN (SELECT allocation, sum(utilization_avg * gpu_ms) / sum(gpu_ms) AS mean FROM gpumeter.cost GROUP BY allocation) AS u USING allocation
			WHERE dateDiff('second', a.start, a.end) > 1800 AND u.mean < 0.05`
		if found := rows(t, conn, longAndIdle); len(found) != 6 {
			t.Errorf("jobs of more than 30 minutes below 5 %% of mean utilisation: %d, want 6: %v", len(found), found)
		}
		if first == nil {
			first = ledger(t, conn)
		} else {
			same(t, ledger(t, conn), first)
		}
	}
}

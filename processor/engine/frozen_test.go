package engine_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
)

// forgetful is an engine that holds next to nothing in memory.
func forgetful(t *testing.T) (*engine.Engine, *ledger) {
	t.Helper()
	cfg := config()
	cfg.Archive = &archive.Memory{}
	return newEngine(t, cfg), newLedger(t)
}

// A tag rule that is about the past finds allocations that are long over, and those
// only: the others' cells stay as they are.
func TestRuleAboutTheLongOver(t *testing.T) {
	e, l := forgetful(t)
	e.AddResource(resource("r", false, "g", "h"))
	e.AddAllocation(held(schemas.EventStart, "a", 60, "g"))
	e.AddAllocation(held(schemas.EventEnd, "a", 100))
	e.AddAllocation(held(schemas.EventStart, "b", 60, "h"))
	e.AddAllocation(held(schemas.EventEnd, "b", 100))
	for minute := range int64(60) {
		e.Advance(start+minute*60_000, false, l)
	}
	before := l.revision[key{"n1", "r", "h", start + 60_000}]
	e.AddTag(&schemas.Tag{Match: "allocation=a", Set: "team=blue", From: start})
	e.Advance(start+3_600_000, false, l)
	for _, f := range l.cells[key{"n1", "r", "g", start + 60_000}] {
		if want := map[bool]string{true: "blue"}[f.allocation == "a"]; f.team != want {
			t.Errorf("%s is of team %q, want %q", f.allocation, f.team, want)
		}
	}
	if n := l.revision[key{"n1", "r", "h", start + 60_000}]; n != before {
		t.Errorf("a cell that the rule is not about was published again, %d times", n-before)
	}
	works(t, e)
}

// An allocation that is long over ends at another time.
func TestEndOfTheLongOver(t *testing.T) {
	e, l := forgetful(t)
	e.AddResource(resource("r", false, "g"))
	e.AddAllocation(held(schemas.EventStart, "a", 60, "g"))
	e.AddAllocation(held(schemas.EventEnd, "a", 100))
	for minute := range int64(60) {
		e.Advance(start+minute*60_000, false, l)
	}
	e.AddAllocation(held(schemas.EventEnd, "a", 3_000))
	e.Advance(start+3_600_000, false, l)
	for minute := int64(1); minute < 50; minute++ {
		facts := l.cells[key{"n1", "r", "g", start + minute*60_000}]
		if len(facts) != 1 || facts[0].allocation != "a" {
			t.Errorf("minute %d: %s", minute, lines(facts))
		}
	}
	works(t, e)
}

// What is over leaves memory: samples, fingerprints, allocations and their names. Ten
// times the history takes no more.
func TestMemoryDoesNotGrowWithHistory(t *testing.T) {
	if testing.Short() {
		t.Skip("it feeds a fleet of some days")
	}
	measure := func(days int64) float64 {
		cfg := config()
		store := &counting{}
		cfg.Archive, cfg.Hot, cfg.KeepSamples = store, 3_600_000, 7*86_400_000
		e, l := newEngine(t, cfg), &counter{}
		history(e, l, days)
		works(t, e)
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		with := m.HeapAlloc
		runtime.KeepAlive(e) // and no longer
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(with) - float64(m.HeapAlloc)
	}
	one, ten := measure(1), measure(10)
	t.Logf("after 1 day %.0f KB, after 10 days %.0f KB", one/1e3, ten/1e3)
	if ten > 1.5*one {
		t.Errorf("memory grows with history: %.0f bytes after a day, %.0f after ten", one, ten)
	}
}

// What is older than what is kept leaves the archive too, and what comes later than
// that is said.
func TestArchiveForgets(t *testing.T) {
	cfg, store := config(), &archive.Memory{}
	cfg.Archive, cfg.Hot, cfg.KeepSamples = store, 600_000, 7_200_000
	e, l := newEngine(t, cfg), newLedger(t)
	history(e, &counter{}, 1)
	day := store.Len()
	e.AddSamples(reading("g0", 30, 0))
	e.Advance(start+86_400_000, false, l)
	if len(l.letters) != 1 || l.letters[0].Reason != schemas.ReasonTooLate || len(l.cells) > 16 {
		t.Errorf("letters %v, %d cells", l.letters, len(l.cells))
	}
	store = &archive.Memory{}
	cfg.Archive = store
	e = newEngine(t, cfg)
	history(e, &counter{}, 3)
	works(t, e)
	if days := store.Len(); days > 2*day {
		t.Errorf("%d keys after a day, %d after three", day, days)
	}
}

// history is days of eight GPUs with jobs of ten minutes, each with a label and a
// title of its own.
func history(e *engine.Engine, out engine.Output, days int64) {
	gpus := []string{"g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7"}
	e.AddResource(resource("r", true, gpus...))
	for minute := range days * 1440 {
		for k, g := range gpus {
			e.AddSamples(reading(g, minute*60, 500_000))
			if minute%10 == 0 {
				if minute > 0 {
					e.AddAllocation(held(schemas.EventEnd, fmt.Sprintf("job-%d-%d", minute-10, k), minute*60))
				}
				a := held(schemas.EventStart, fmt.Sprintf("job-%d-%d", minute, k), minute*60, g)
				a.Name, a.HasLabels = "title of "+a.Allocation, true
				a.Labels = []schemas.Label{{Key: "slurm_job_id", Value: a.Allocation}}
				e.AddAllocation(a)
			}
		}
		e.Advance(start+minute*60_000+1, false, out)
	}
}

// A counter is an output that keeps nothing.
type counter struct{ rows int }

func (c *counter) Costs(costs *schemas.Costs) { c.rows += costs.Len() }

func (c *counter) Activity([]schemas.Activity) {}

func (c *counter) Report(schemas.DeadLetter) {}

// counting is an archive that only takes: nothing late comes, so nothing is asked for.
type counting struct{ puts, bytes int }

func (c *counting) Get([]byte) ([]byte, error) { return nil, nil }

func (c *counting) Put(key, value []byte) error {
	c.puts++
	c.bytes += len(key) + len(value)
	return nil
}

func (c *counting) Delete(_, _ []byte) error { return nil }

func (c *counting) First(_, _ []byte) (key, value []byte, err error) { return nil, nil, nil }

func (c *counting) Last(_, _ []byte) (key, value []byte, err error) { return nil, nil, nil }

func (c *counting) Scan(_, _ []byte, _ func(key, value []byte) error) error { return nil }

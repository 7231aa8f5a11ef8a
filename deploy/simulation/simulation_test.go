//go:build synctests

package simulation

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/deploy/verify"
	"github.com/gpumeter/gpumeter/schemas"
)

// What the environment may ask for: see setting.
const (
	envSeed  = "GPUMETER_SIMULATE_SEED"  // the first seed; a failure names its own
	envSeeds = "GPUMETER_SIMULATE_SEEDS" // how many long runs, 0 = none
	envHours = "GPUMETER_SIMULATE_HOURS" // of a long run
	envNodes = "GPUMETER_SIMULATE_NODES" // of a long run
	envGPUs  = "GPUMETER_SIMULATE_GPUS"  // of a node of a long run: 1, 2, 4 or 8
	envLog   = "GPUMETER_SIMULATE_LOG"   // 1 = what all processes log

	envControl = "GPUMETER_SIMULATE_CONTROL" // which control must be caught, or all
)

func setting(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	v, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// often is what goes wrong with events on their way.
func often() mischief {
	return mischief{stray: 1000, repeat: 200, swap: 50, slack: 10, away: 20, mute: 50}
}

// A few hours of a small fleet with a fault every few minutes.
func TestFaults(t *testing.T) {
	if os.Getenv(envSeed) != "" {
		simulate(t, short(setting(t, envSeed, 0)))
		return
	}
	for _, seed := range []uint64{1, rand.Uint64N(1 << 32)} {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			simulate(t, short(seed))
		})
	}
}

func short(seed uint64) config {
	m := often()
	m.stray = 200
	return config{
		seed: seed, nodes: 6, gpus: fleetGPUs, length: 2 * time.Hour, interval: 10 * time.Second, partitions: 4,
		pace: 10 * time.Second, early: 20 * time.Second, mischief: m, every: 4 * time.Minute,
	}
}

// Days of a large fleet: make simulate.
func TestLong(t *testing.T) {
	seeds := setting(t, envSeeds, 0)
	if seeds == 0 {
		t.Skipf("long runs are for make simulate: %s is not set", envSeeds)
	}
	// Virtual time waits for the collector of garbage as for any work.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	first := setting(t, envSeed, rand.Uint64N(1<<32))
	for seed := first; seed < first+seeds; seed++ {
		cfg := config{
			seed: seed, nodes: int(setting(t, envNodes, 100)), gpus: int(setting(t, envGPUs, 2)),
			length:   time.Duration(setting(t, envHours, 24)) * time.Hour,
			interval: 30 * time.Second, partitions: 4, pace: time.Minute, mischief: often(), every: 45 * time.Minute,
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulate(t, cfg) })
	}
}

// simulate runs the pipeline through one seed's faults and judges what is there in the
// end: the ledger is the oracle's of what the fleet said, sums are conserved, nothing
// was published twice, each revision of a finding is there once.
func simulate(t *testing.T, cfg config) {
	t.Logf("%s=%d repeats the faults and the input of this run", envSeed, cfg.seed)
	cfg.dir, cfg.log = filepath.Join(t.TempDir(), "said"), setting(t, envLog, 0) != 0
	began, used := time.Now(), spent(t)
	var w *world
	var horizon int64
	var findings []schemas.Finding
	var letters []schemas.DeadLetter
	synctest.Test(t, func(t *testing.T) {
		w = newWorld(t, cfg)
		defer w.end()
		w.open()
		w.disturb()
		time.Sleep(time.Until(time.UnixMilli(w.plant.end)))
		horizon = w.settle()
		findings, letters = read[schemas.Finding](w, schemas.StreamFindings), read[schemas.DeadLetter](w, schemas.StreamDeadLetters)
	})
	t.Logf("%v of %d nodes of %d GPUs with %d faults: %d events, %d of them late; %d cells, %d findings; took %v, %v of CPU time for all tests of the process",
		cfg.length, cfg.nodes, cfg.gpus, len(agenda(cfg)), w.plant.events, w.plant.late, len(w.store.cells), len(findings),
		time.Since(began).Round(time.Millisecond), (spent(t) - used).Round(time.Millisecond))
	began, used = time.Now(), spent(t)
	if failed := w.failures(); failed != "" {
		t.Errorf("%s processes: no fault is a reason to end: %s", verdictMark, failed)
	}
	report(t, "store", w.store.broken)
	report(t, "store", w.store.unfinished())
	report(t, "findings", wrongFindings(findings))
	report(t, "dead letters", wrongLetters(letters))
	opt := oracle.Defaults(horizon)
	opt.Until = &horizon
	verdict, err := verify.Run(t.Context(), w.store, verify.Options{Input: cfg.dir, Oracle: opt})
	if err != nil {
		t.Fatal(err)
	}
	if verdict.Violations != 0 {
		t.Errorf("%s ledger: %d violations in %d rows, the first: %+v", verdictMark, verdict.Violations, verdict.Rows, *verdict.First)
	}
	if verdict.Rows == 0 || len(findings) == 0 {
		t.Errorf("%d rows and %d findings: the run proves nothing", verdict.Rows, len(findings))
	}
	t.Logf("judged in %v, %v of CPU time", time.Since(began).Round(time.Millisecond), (spent(t) - used).Round(time.Millisecond))
}

// verdictMark begins what the judges find wrong.
const verdictMark = "WRONG"

// report fails the test with the first few of what is wrong.
func report(t *testing.T, what string, wrong []string) {
	t.Helper()
	for _, w := range wrong[:min(5, len(wrong))] {
		t.Errorf("%s %s: %s (one of %d)", verdictMark, what, w, len(wrong))
	}
}

// spent is the CPU time of this process so far.
func spent(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

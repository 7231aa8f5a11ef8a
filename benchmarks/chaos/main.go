// Command chaos kills, freezes and cuts off the processes of a real pipeline and
// holds what is left against the oracle. For each seed it starts Apache Kafka and
// ClickHouse, two processors and one or two sinks of a group as processes of their
// own, with a proxy in each link, and with what the seed draws of archives on disk
// (state.dir), a spool, and notes of what is read (quarantine); publishes a simulated
// fleet by collectors, an eighth of it late and a sixteenth of it twice, and another
// by an agent; does to all of them what the seed says; lets everything settle; and
// judges:
//
//   - every row of the ledger is the oracle's, and the other way round;
//   - ClickHouse has each revision of a cell that processors committed once, and no
//     other; each revision of a finding once; each sample once;
//   - no processor has published a cell twice as the same, and none has found its
//     archive damaged or ahead.
//
// A stage that gives up is a failure too: nobody is there to help it.
//
//	go run ./benchmarks/chaos -n 60 -seed 1
//	go run ./benchmarks/chaos -n 3 -seed 1 -control uncommitted    exit code 0: it failed, as it must
//
// A seed decides the events and the faults; what the machine makes of their timing
// it does not. Results go to a file, a line for each seed; a seed that has one is
// not run again. What a failed run wrote is kept.
//
// It is not a benchmark of speed, and it loses no disk: processes die, machines do
// not.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gpumeter/gpumeter/deploy/chdb"
)

func main() {
	if code, ran := chdb.RunChild(); ran {
		os.Exit(code)
	}
	var o options
	flag.IntVar(&o.n, "n", 5, "how many seeds")
	flag.Uint64Var(&o.seed, "seed", 1, "the first of them")
	flag.StringVar(&o.results, "results", "", "file of results, empty = none")
	flag.StringVar(&o.control, "control", "", "run a pipeline with one line changed, until a seed fails, as one must: uncommitted, unversioned, reversed or unspooled")
	flag.Parse()
	os.Exit(report(o))
}

// report runs what was asked for and gives the exit code.
func report(o options) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := chaos(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		return 1
	}
	return 0
}

type options struct {
	n       int
	seed    uint64
	results string
	control string
}

// A campaign is the runs of one call.
type campaign struct {
	options
	dir    string // of the binaries and the runs
	commit string

	passed, failed, skipped int
}

func chaos(ctx context.Context, o options) error {
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	c := campaign{options: o, commit: commit(ctx, root)}
	if c.dir, err = os.MkdirTemp("", "gpumeter-chaos-"); err != nil {
		return err
	}
	defer func() {
		if c.failed == 0 || o.control != "" {
			_ = os.RemoveAll(c.dir)
		}
	}()
	var as *control
	if o.control != "" {
		named, err := controlNamed(o.control)
		if err != nil {
			return err
		}
		as, c.results = &named, "" // what must fail is no result
		fmt.Printf("control %s: %s\n", as.name, as.doc)
	}
	if err := build(ctx, root, c.bin(), as); err != nil {
		return err
	}
	if err := c.seeds(ctx); err != nil {
		return err
	}
	return c.conclude()
}

func (c *campaign) bin() string { return filepath.Join(c.dir, "bin") }

// seeds runs those that have no result yet.
func (c *campaign) seeds(ctx context.Context) error {
	done := map[uint64]bool{}
	if c.results != "" {
		var err error
		if done, err = known(c.results); err != nil {
			return err
		}
	}
	for seed := c.seed; seed < c.seed+uint64(c.n); seed++ {
		if passed, ok := done[seed]; ok {
			c.skipped++
			c.count(passed)
			continue
		}
		r := c.one(ctx, seed)
		if r == nil {
			return context.Cause(ctx)
		}
		if c.results != "" {
			if err := note(c.results, r); err != nil {
				return err
			}
		}
		c.count(r.wrong == "")
		if c.control != "" && c.failed > 0 {
			break
		}
	}
	return nil
}

func (c *campaign) count(passed bool) {
	if passed {
		c.passed++
	} else {
		c.failed++
	}
}

// one runs a seed and says how it went; nil when it was given up. A run that failed
// because Kafka broke a transaction is none: the seed is run again.
func (c *campaign) one(ctx context.Context, seed uint64) *result {
	for broken := 0; ; broken++ {
		r, res := c.once(ctx, seed)
		if res == nil || res.wrong == "" || broken == mostBroken || !brokeTransaction(r.dir) {
			if res != nil {
				res.broken = broken
			}
			return res
		}
		r.say("Kafka restarted and dropped the end of a transaction, which hangs (see %s): no run; again", "docs/reliability.md")
		_ = os.RemoveAll(r.dir)
	}
}

// mostBroken is how many runs of a seed Kafka may break.
const mostBroken = 2

// brokeTransaction tells whether Kafka says that it left out partitions when it ended
// transactions. It does so where a node that is its own controller is killed between
// a transaction's end and its markers, and starts again: before it is unfenced, it
// finds no leader of any partition, takes them for deleted, and the transaction hangs
// for ever, half of it committed. No client can mend that.
func brokeTransaction(dir string) bool {
	logs, _ := filepath.Glob(filepath.Join(dir, "kafka", "*.log")) // the pattern is right
	for _, log := range logs {
		text, err := os.ReadFile(log)
		if err == nil && strings.Contains(string(text), "Couldn't find leader endpoint for partitions") {
			return true
		}
	}
	return false
}

// once runs a seed once.
func (c *campaign) once(ctx context.Context, seed uint64) (*run, *result) {
	began := time.Now()
	r := &run{seed: seed, dir: filepath.Join(c.dir, fmt.Sprintf("seed-%d", seed)), bin: c.bin(), out: os.Stdout}
	v, err := r.do(ctx)
	if ctx.Err() != nil {
		_ = os.RemoveAll(r.dir)
		return r, nil
	}
	res := &result{seed: seed, commit: c.commit, settings: r.settings, faults: summary(r.faults), load: r.load, verdict: v, seconds: time.Since(began).Seconds()}
	if err != nil {
		v.wrong = append(v.wrong, err.Error())
	}
	res.wrong = strings.Join(v.wrong, "; ")
	if res.wrong == "" {
		r.say("pass in %.1f s: %d rows, %d revisions, %d of findings", res.seconds, v.rows, v.revisions, v.findings)
		_ = os.RemoveAll(r.dir)
		return r, res
	}
	r.say("FAIL in %.1f s:\n  %s", res.seconds, strings.Join(v.wrong, "\n  "))
	if c.control == "" {
		r.say("everything is kept in %s", r.dir)
	}
	return r, res
}

// conclude is the last line, and whether the call has failed.
func (c *campaign) conclude() error {
	line := fmt.Sprintf("%d seeds: %d passed, %d failed", c.passed+c.failed, c.passed, c.failed)
	if c.skipped > 0 {
		line += fmt.Sprintf(" (%d of them by %s)", c.skipped, c.results)
	}
	if c.control != "" {
		fmt.Printf("control %s: %s\n", c.control, line)
		if c.failed == 0 {
			return errors.New("the control passed: the test does not see what it is for")
		}
		return nil
	}
	fmt.Println(line)
	if c.failed > 0 {
		return fmt.Errorf("%d of %d seeds failed", c.failed, c.passed+c.failed)
	}
	return nil
}

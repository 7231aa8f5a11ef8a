package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/collector/fleet"
	"github.com/gpumeter/gpumeter/deploy/record"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// What a run publishes.
const (
	fleetGPUs  = 48
	fleetSpan  = 2 * time.Hour
	fleetEvery = 10 * time.Second // between two samples of a GPU
	portions   = 14               // each by a collector of its own
	heldBack   = 3                // of them, until the trouble is over and the rest is in the ledger
)

// fleetStart is when the first event happened: the same in every run, so that a
// seed has one input.
func fleetStart() time.Time { return time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC) }

// A load is what a run publishes. dir holds every event once: what the oracle
// reads. The portions hold the same events, but for those of the agent, some of them
// later than they happened and some of them twice.
type load struct {
	dir      string
	seed     uint64
	portions []string // directories, in the order in which they are published
	horizon  int64    // of the ledger, Unix ms: within the last windows
	truth    int64    // size of the agent's file of the truth

	events, samples, late, repeated int // samples are events too
}

// prepare simulates the fleet of a seed into dir, and that of its agent.
func prepare(dir string, seed uint64, agent bool) (*load, error) {
	l := &load{dir: filepath.Join(dir, "events"), seed: seed}
	draw := rand.New(rand.NewPCG(seed, 0x10ad))
	l.horizon = fleetEnd() - draw.Int64N(90_000)
	dealt := l.dir
	if agent {
		dealt = filepath.Join(dir, "dealt")
		if err := l.count(); err != nil {
			return nil, err
		}
		if err := simulate(l.dir, fleetOf(seed, fleetGPUs), l.agentFleet()); err != nil {
			return nil, err
		}
	}
	if err := simulate(dealt, fleetOf(seed, fleetGPUs)); err != nil {
		return nil, err
	}
	for i := range portions {
		l.portions = append(l.portions, filepath.Join(dir, fmt.Sprintf("portion-%02d", i)))
	}
	for _, file := range contract.Files() {
		if err := l.deal(draw, dealt, file); err != nil {
			return nil, fmt.Errorf("deal %s out: %w", file.Name, err)
		}
	}
	return l, nil
}

func fleetEnd() int64 { return fleetStart().Add(fleetSpan).UnixMilli() }

func fleetOf(seed uint64, gpus int) fleet.Config {
	cfg := fleet.DefaultConfig()
	cfg.Seed, cfg.GPUs, cfg.Interval, cfg.Start = seed, gpus, fleetEvery, fleetStart()
	return cfg
}

// agentFleet is of another seed, so that nothing of it is in the other fleet but
// the name of its node: both are parts of one.
func (l *load) agentFleet() fleet.Config { return fleetOf(l.seed+1_000_000, agentGPUs) }

// agentSource is the agent's fleet as settings.
func (l *load) agentSource() []string {
	cfg := l.agentFleet()
	return []string{
		"source.kind=fleet", fmt.Sprintf("source.fleet.seed=%d", cfg.Seed), fmt.Sprintf("source.fleet.gpus=%d", cfg.GPUs),
		fmt.Sprintf("source.fleet.interval=%v", cfg.Interval), "source.fleet.start=" + cfg.Start.Format(time.RFC3339),
	}
}

// simulate records what fleets say into dir.
func simulate(dir string, fleets ...fleet.Config) error {
	tape, err := record.New(dir, &census{})
	if err != nil {
		return err
	}
	for _, cfg := range fleets {
		f, err := fleet.New(cfg)
		if err == nil {
			err = f.Step(fleetEnd(), tape)
		}
		if err != nil {
			return errors.Join(err, tape.Close())
		}
	}
	return tape.Close()
}

// count counts what the agent will say, and how long its truth is.
func (l *load) count() error {
	f, err := fleet.New(l.agentFleet())
	if err != nil {
		return err
	}
	var truth bytes.Buffer
	lines, err := f.Record(&truth)
	if err != nil {
		return err
	}
	said := &census{}
	err = errors.Join(f.Step(fleetEnd(), said), lines.Write(f.Ended()), lines.Write(f.Open()))
	l.events, l.samples, l.truth = said.events, said.samples, int64(truth.Len())
	return err
}

// deal gives each line of a file to a portion, some lines to two. Lines are in
// order of time, and so are portions, but for every eighth line: that is held back
// for any later one.
func (l *load) deal(draw *rand.Rand, dir string, file contract.File) error {
	text, err := os.ReadFile(filepath.Join(dir, file.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	header, lines := "", strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	if strings.HasSuffix(file.Name, ".csv") {
		header, lines = lines[0], lines[1:]
	}
	dealt := make([][]string, portions)
	for i, line := range lines {
		line = strings.TrimSuffix(line, "\n") + "\n"
		if line == "\n" {
			continue
		}
		to := home(file.Stream, i, len(lines))
		if later := portions - 1 - to; later > 0 && draw.IntN(8) == 0 {
			to += 1 + draw.IntN(later)
			l.late++
		}
		dealt[to] = append(dealt[to], line)
		if draw.IntN(16) == 0 {
			again := draw.IntN(portions)
			dealt[again] = append(dealt[again], line)
			l.repeated++
		}
		l.events++
		if file.Stream == schemas.StreamSamples {
			l.samples++
		}
	}
	return l.write(draw, file.Name, header, dealt)
}

// home is the portion of a line that is not late: what describes the fleet comes
// first.
func home(stream string, line, lines int) int {
	switch stream {
	case schemas.StreamResources, schemas.StreamPrices, schemas.StreamTags:
		return 0
	}
	return line * portions / lines
}

// write writes what was dealt; every second portion is shuffled.
func (l *load) write(draw *rand.Rand, name, header string, dealt [][]string) error {
	for i, lines := range dealt {
		if draw.IntN(2) == 0 {
			draw.Shuffle(len(lines), func(a, b int) { lines[a], lines[b] = lines[b], lines[a] })
		}
		if len(lines) == 0 {
			continue
		}
		if err := os.MkdirAll(l.portions[i], 0o700); err != nil {
			return err
		}
		var b bytes.Buffer
		b.WriteString(header)
		for _, line := range lines {
			b.WriteString(line)
		}
		if err := os.WriteFile(filepath.Join(l.portions[i], name), b.Bytes(), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// A census counts events.
type census struct{ events, samples int }

func (c *census) Sample(*contract.Sample) error {
	c.samples++
	return c.event()
}

func (c *census) event() error {
	c.events++
	return nil
}

func (c *census) Process(schemas.Process) error       { return c.event() }
func (c *census) Allocation(schemas.Allocation) error { return c.event() }
func (c *census) Resource(schemas.Resource) error     { return c.event() }
func (c *census) Price(schemas.Price) error           { return c.event() }
func (c *census) Tag(schemas.Tag) error               { return c.event() }
func (c *census) DeadLetter(schemas.DeadLetter) error { return c.event() }

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
// reads. The portions hold the same events, some of them later than they happened
// and some of them twice.
type load struct {
	dir      string
	portions []string // directories, in the order in which they are published
	horizon  int64    // of the ledger, Unix ms: within the last windows

	events, samples, late, repeated int // samples are events too
}

// prepare simulates the fleet of a seed into dir.
func prepare(dir string, seed uint64) (*load, error) {
	l := &load{dir: filepath.Join(dir, "events")}
	draw := rand.New(rand.NewPCG(seed, 0x10ad))
	end := fleetStart().Add(fleetSpan)
	l.horizon = end.UnixMilli() - draw.Int64N(90_000)
	if err := simulate(l.dir, seed, end); err != nil {
		return nil, err
	}
	for i := range portions {
		l.portions = append(l.portions, filepath.Join(dir, fmt.Sprintf("portion-%02d", i)))
	}
	for _, file := range contract.Files() {
		if err := l.deal(draw, file); err != nil {
			return nil, fmt.Errorf("deal %s out: %w", file.Name, err)
		}
	}
	return l, nil
}

func simulate(dir string, seed uint64, end time.Time) error {
	cfg := fleet.DefaultConfig()
	cfg.Seed, cfg.GPUs, cfg.Interval, cfg.Start = seed, fleetGPUs, fleetEvery, fleetStart()
	f, err := fleet.New(cfg)
	if err != nil {
		return err
	}
	tape, err := record.New(dir, nobody{})
	if err != nil {
		return err
	}
	return errors.Join(f.Step(end.UnixMilli(), tape), tape.Close())
}

// deal gives each line of a file to a portion, some lines to two. Lines are in
// order of time, and so are portions, but for every eighth line: that is held back
// for any later one.
func (l *load) deal(draw *rand.Rand, file contract.File) error {
	text, err := os.ReadFile(filepath.Join(l.dir, file.Name))
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

// nobody is where the recording of the fleet passes its events on to.
type nobody struct{}

func (nobody) Sample(*contract.Sample) error       { return nil }
func (nobody) Process(schemas.Process) error       { return nil }
func (nobody) Allocation(schemas.Allocation) error { return nil }
func (nobody) Resource(schemas.Resource) error     { return nil }
func (nobody) Price(schemas.Price) error           { return nil }
func (nobody) Tag(schemas.Tag) error               { return nil }
func (nobody) DeadLetter(schemas.DeadLetter) error { return nil }

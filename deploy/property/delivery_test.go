package property

import (
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/gpumeter/gpumeter/deploy/cells"
	"github.com/gpumeter/gpumeter/deploy/oracle"
	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// now is the time of every run: 2026-06-30, some weeks after what is generated.
const now = 1_782_777_600_000

// An input is what the files of a directory say, as the processor gets it.
type input struct {
	events  []any // contract.Sample, schemas.Allocation, Resource, Price and Tag
	horizon int64
	first   int64
}

// readInput reads a directory as the collector does, and refuses what rule 1 does.
func readInput(dir string) (input, error) {
	in := input{first: now}
	for _, file := range contract.Files() {
		f, err := os.Open(filepath.Join(dir, file.Name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return in, err
		}
		err = in.readFile(contract.NewReader(file, f), file.Stream)
		if err = errors.Join(err, f.Close()); err != nil {
			return in, err
		}
	}
	return in, nil
}

func (in *input) readFile(r *contract.Reader, stream string) error {
	for {
		err := r.Next()
		var refused *contract.Error
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &refused):
			continue
		case err != nil:
			return err
		}
		switch stream {
		case schemas.StreamSamples:
			in.add(r.Sample, r.Sample.TS)
		case schemas.StreamAllocations:
			in.add(r.Allocation, r.Allocation.TS)
		case schemas.StreamProcesses:
			in.add(nil, r.Process.TS)
		case schemas.StreamResources:
			in.events = append(in.events, r.Resource)
		case schemas.StreamPrices:
			in.events = append(in.events, r.Price)
		case schemas.StreamTags:
			in.events = append(in.events, r.Tag)
		}
	}
}

func (in *input) add(event any, ts int64) {
	if ts < 1_262_304_000_000 || ts > now+600_000 {
		return
	}
	in.horizon, in.first = max(in.horizon, ts), min(in.first, ts)
	if event != nil {
		in.events = append(in.events, event)
	}
}

// A delivery is the way in which events reach an engine.
type delivery struct {
	seed    uint64
	shuffle bool
	repeat  int // percent of the events that come again
	steps   int // how often the horizon moves on the way
	batch   int // samples that are handed over at once, at most
	engines int // partitions

	window, epsilon, until int64 // ms, ppm, Unix ms or 0
	hot                    int64 // ms that stay in memory; negative = all
	from                   int64 // ledger.from, Unix ms or 0
}

// events is what is delivered, in its order.
func (d delivery) events(in input) []any {
	r := rand.New(rand.NewPCG(d.seed, 1))
	events := slices.Clone(in.events)
	for _, e := range in.events {
		if r.IntN(100) < d.repeat {
			events = append(events, e)
		}
	}
	if d.shuffle {
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	}
	return events
}

// options are the oracle's for the same ledger.
func (d delivery) options() oracle.Options {
	opt := oracle.Defaults(now)
	opt.Window, opt.Epsilon, opt.From = d.window, d.epsilon, d.from
	if d.until != 0 {
		opt.Until = &d.until
	}
	return opt
}

// run delivers an input and gives the rows that stand at the end, in order.
func (d delivery) run(in input) ([]oracle.Row, error) {
	ledger := cells.New()
	for k := range d.engines {
		cfg := engine.Config{
			Window: d.window, Grace: 30_000, EarlyEvery: 10_000, KeepSamples: 45 * 86_400_000, Epsilon: uint32(d.epsilon), IdleMemory: 1 << 30, From: d.from,
			Owns: func(node string) bool { return int(node[len(node)-1])%d.engines == k },
		}
		if d.hot >= 0 {
			cfg.Archive, cfg.Hot = &archive.Memory{}, d.hot
		}
		e, err := engine.New(cfg)
		if err != nil {
			return nil, err
		}
		d.feed(e, in, ledger)
		if err := e.Err(); err != nil {
			return nil, err
		}
	}
	return ledger.Rows(), nil
}

// feed hands the events to e part by part, with the horizon somewhere between
// the first event and the last in between.
func (d delivery) feed(e *engine.Engine, in input, out engine.Output) {
	r := rand.New(rand.NewPCG(d.seed, 2))
	horizons := make([]int64, 0, d.steps)
	for range d.steps {
		horizons = append(horizons, in.first-1+r.Int64N(max(1, in.horizon-in.first+2)))
	}
	slices.Sort(horizons)
	events := d.events(in)
	for i, horizon := range horizons {
		from, to := i*len(events)/(d.steps+1), (i+1)*len(events)/(d.steps+1)
		d.hand(e, events[from:to], r)
		e.Advance(horizon, false, out)
	}
	d.hand(e, events[d.steps*len(events)/(d.steps+1):], r)
	e.Advance(in.horizon, true, out)
}

func (d delivery) hand(e *engine.Engine, events []any, r *rand.Rand) {
	batches := map[string]*contract.Batch{}
	flush := func(b *contract.Batch) {
		e.AddSamples(&b.Samples)
		b.Reset()
	}
	for _, event := range events {
		switch v := event.(type) {
		case contract.Sample:
			b := batches[v.Node]
			if b == nil {
				b = &contract.Batch{}
				batches[v.Node] = b
			}
			b.Add(&v)
			if b.Len() > r.IntN(d.batch) {
				flush(b)
			}
		case schemas.Allocation:
			e.AddAllocation(&v)
		case schemas.Resource:
			e.AddResource(&v)
		case schemas.Price:
			e.AddPrice(&v)
		case schemas.Tag:
			e.AddTag(&v)
		}
	}
	for _, node := range sortedKeys(batches) {
		flush(batches[node])
	}
}

func sortedKeys(m map[string]*contract.Batch) []string {
	return slices.Sorted(maps.Keys(m))
}

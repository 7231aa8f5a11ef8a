package property

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpumeter/gpumeter/deploy/oracle"
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
	opt.Window, opt.Epsilon = d.window, d.epsilon
	if d.until != 0 {
		opt.Until = &d.until
	}
	return opt
}

// run delivers an input and gives the rows that stand at the end, in order.
func (d delivery) run(in input) ([]oracle.Row, error) {
	ledger := cells{}
	for k := range d.engines {
		e, err := engine.New(engine.Config{
			Window: d.window, Grace: 30_000, EarlyEvery: 10_000, KeepSamples: 45 * 86_400_000, Epsilon: uint32(d.epsilon), IdleMemory: 1 << 30,
			Owns: func(node string) bool { return int(node[len(node)-1])%d.engines == k },
		})
		if err != nil {
			return nil, err
		}
		d.feed(e, in, ledger)
	}
	return ledger.rows(), nil
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

// cells is the newest revision of every cell: what the sink makes of the topic.
type cells map[cellKey][]oracle.Row

type cellKey struct {
	node, resource, gpu string
	window              int64
}

// Report ignores dead letters: they are not part of the ledger.
func (c cells) Report(schemas.DeadLetter) {}

// Costs replaces the cells of a batch.
func (c cells) Activity([]schemas.Activity) {}

func (c cells) Costs(b *schemas.Costs) {
	fresh := map[cellKey]bool{}
	for i := range b.Len() {
		key := cellKey{at(b.Node, i), at(b.Resource, i), at(b.GPU, i), b.Window[i]}
		if !fresh[key] {
			fresh[key] = true
			delete(c, key)
		}
		if b.State[i] != 0 {
			c[key] = append(c[key], row(b, i))
		}
	}
}

func (c cells) rows() []oracle.Row {
	var all []oracle.Row
	for _, rows := range c {
		all = append(all, rows...)
	}
	slices.SortFunc(all, func(a, b oracle.Row) int { return a.Compare(&b) })
	return all
}

func at(t schemas.Text, i int) string { return t.Dict[t.Index[i]] }

// row reads row i of a batch in the oracle's terms.
func row(b *schemas.Costs, i int) oracle.Row {
	r := oracle.Row{
		WindowStart: b.WindowStart[i], WindowEnd: b.WindowEnd[i], Resource: at(b.Resource, i), GPU: at(b.GPU, i),
		Slice: at(b.Slice, i), Allocation: at(b.Allocation, i), State: oracle.State(b.State[i]),
		Cluster: at(b.Cluster, i), Node: at(b.Node, i), Provider: at(b.Provider, i), Region: at(b.Region, i), SKU: at(b.SKU, i), GPUModel: at(b.Model, i),
		User: at(b.User, i), Name: at(b.Name, i), Namespace: at(b.Namespace, i),
		Team: at(b.Team, i), Project: at(b.Project, i), CostCenter: at(b.CostCenter, i), Environment: at(b.Environment, i),
		Model: at(b.AIModel, i), ModelVersion: at(b.ModelVersion, i), Phase: at(b.Phase, i), Labels: labels(at(b.Labels, i)),
		Attribution: [...]string{"none", "exclusive", "given", "equal", "slice"}[b.Attribution[i]],
		GPUMs:       b.GPUMs[i], UsedGPUMs: b.UsedGPUMs[i],
		Utilization: reported(uint64(b.Utilization[i]), uint64(schemas.Absent32)), SMActive: reported(uint64(b.SMActive[i]), uint64(schemas.Absent32)),
		MemoryMax: reported(b.MemoryMax[i], schemas.Absent64), Energy: reported(b.Energy[i], schemas.Absent64),
		Priced: b.PriceStatus[i] == schemas.Priced, Currency: at(b.Currency, i), PriceID: at(b.PriceID, i),
		PositionFrom: int64(b.PositionFrom[i]), PositionTo: int64(b.PositionTo[i]),
	}
	if r.Priced {
		r.ListCost, r.EffectiveCost, r.UsedCost, r.WasteCost = b.ListCost[i], b.EffectiveCost[i], b.UsedCost[i], b.WasteCost[i]
	}
	begin := uint32(0)
	if i > 0 {
		begin = b.RunsEnd[i-1]
	}
	for _, ms := range b.Runs[begin:b.RunsEnd[i]] {
		r.Runs = append(r.Runs, int64(ms))
	}
	return r
}

func reported(v, absent uint64) int64 {
	if v == absent {
		return oracle.Absent
	}
	return int64(v)
}

// labels reads a JSON object; a text that is none gives a label that no input has.
func labels(text string) []oracle.Label {
	if text == "" {
		return nil
	}
	var object map[string]string
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		return []oracle.Label{{Key: "not JSON", Value: text}}
	}
	var list []oracle.Label
	for k, v := range object {
		list = append(list, oracle.Label{Key: k, Value: v})
	}
	slices.SortFunc(list, func(a, b oracle.Label) int { return strings.Compare(a.Key, b.Key) })
	return list
}

func TestLabelsThatAreNotJSONAreSeen(t *testing.T) {
	if got := labels("{"); len(got) != 1 || got[0].Key != "not JSON" {
		t.Errorf("%v", got)
	}
}

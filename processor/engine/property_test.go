package engine_test

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/money"
)

// atOnce is the ledger of a world whose events all come before the only Advance.
func atOnce(t rapid.TB, in *input) *ledger {
	e := newEngine(t, in.config())
	in.feed(e)
	l := newLedger(t)
	e.Advance(in.horizon, true, l)
	return l
}

// cold is a configuration that keeps little in memory, or everything.
func cold(t *rapid.T, in *input) engine.Config {
	cfg := in.config()
	cfg.Backlog = rapid.SampledFrom([]int64{0, 0, 1, 5, 12}).Draw(t, "backlog")
	if rapid.IntRange(0, 3).Draw(t, "archive") > 0 {
		cfg.Archive = sound{&archive.Memory{}, t}
		cfg.Hot = rapid.SampledFrom([]int64{0, 1, 20_000, 60_000, 200_000}).Draw(t, "hot")
	}
	return cfg
}

// atOnceToo is cfg without backlog: see TestBacklogOutlivesItsEngine.
func atOnceToo(cfg engine.Config) engine.Config {
	cfg.Backlog = 0
	return cfg
}

// sound is an archive that is asked sensibly: of ranges whose ends are in order.
type sound struct {
	*archive.Memory
	t rapid.TB
}

func (s sound) Delete(from, to []byte) error {
	s.ordered(from, to)
	return s.Memory.Delete(from, to)
}

func (s sound) First(from, to []byte) (key, value []byte, err error) {
	s.ordered(from, to)
	return s.Memory.First(from, to)
}

func (s sound) Last(from, to []byte) (key, value []byte, err error) {
	s.ordered(from, to)
	return s.Memory.Last(from, to)
}

func (s sound) ordered(from, to []byte) {
	if bytes.Compare(from, to) > 0 {
		s.t.Errorf("asked for [%q, %q)", from, to)
	}
}

// finish ends a replay: what is behind comes in steps.
func finish(e *engine.Engine, horizon int64, out engine.Output) {
	e.Advance(horizon, true, out)
	for len(e.Behind()) > 0 {
		e.Advance(horizon, true, out)
	}
}

func works(t rapid.TB, e *engine.Engine) {
	if err := e.Err(); err != nil {
		t.Error(err)
	}
}

// sameCells compares what is left of two ledgers. Which cells were emptied on the
// way does not matter.
func sameCells(t *rapid.T, got, want *ledger) {
	for k := range merged(got.cells, want.cells) {
		if a, b := got.cells[k], want.cells[k]; !slices.Equal(a, b) {
			t.Errorf("%v\n got %s\nwant %s", k, lines(a), lines(b))
		}
	}
}

func merged[K comparable, V any](a, b map[K]V) map[K]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func lines(facts []fact) (s string) {
	for _, f := range facts {
		s += fmt.Sprintf("\n   %+v", f)
	}
	return s
}

// However the events are shuffled, repeated, split into batches and delayed, and
// wherever the horizon stood meanwhile, the final facts are the same.
func TestFinalFactsAreAFunctionOfTheSetOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawWorld(t)
		adds := in.adds()
		order := rapid.Permutation(adds).Draw(t, "order")
		if rapid.Bool().Draw(t, "keep file order") {
			order = adds
		}
		order = append(order, order[:rapid.IntRange(0, len(order)).Draw(t, "repeated")]...)
		e, got := newEngine(t, cold(t, in)), newLedger(t)
		for len(order) > 0 {
			n := rapid.IntRange(1, len(order)).Draw(t, "batch")
			for _, add := range order[:n] {
				add(e)
			}
			order = order[n:]
			if rapid.Bool().Draw(t, "advance") {
				step := rapid.Int64Range(0, worldLen).Draw(t, "horizon")
				e.Advance(worldStart+step, false, got)
			}
		}
		finish(e, in.horizon, got)
		works(t, e)
		sameCells(t, got, atOnce(t, in))
	})
}

// Live: the horizon goes on in steps, events come in time order, some late.
func TestLiveIsReplay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawWorld(t)
		step := rapid.SampledFrom([]int64{1_000, 7_003, 10_000, 45_000}).Draw(t, "step")
		late := rapid.SampledFrom([]int64{0, 20_000, 100_000}).Draw(t, "late")
		e, got := newEngine(t, cold(t, in)), newLedger(t)
		in.feedReferences(e)
		delay := map[int]int64{}
		for h := int64(worldStart); h < in.horizon; h += step {
			for i, s := range in.samples {
				if _, ok := delay[i]; !ok {
					delay[i] = rapid.Int64Range(0, late).Draw(t, "delay")
				}
				if due := s.TS[0] + delay[i]; h-step <= due && due < h {
					e.AddSamples(s)
				}
			}
			e.Advance(h, false, got)
		}
		for _, s := range in.samples {
			e.AddSamples(s)
		}
		finish(e, in.horizon, got)
		works(t, e)
		sameCells(t, got, atOnce(t, in))
	})
}

func (in *input) feedReferences(e *engine.Engine) {
	(&input{allocations: in.allocations, resources: in.resources, prices: in.prices, tags: in.tags}).feed(e)
}

// A replay that goes on to a later horizon is the replay to that horizon.
func TestReplayGoesOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawWorld(t)
		e, got := newEngine(t, cold(t, in)), newLedger(t)
		in.feed(e)
		for range rapid.IntRange(1, 3).Draw(t, "replays") {
			e.Advance(drawTime(t, "until"), true, got)
		}
		in.horizon += 60_000
		finish(e, in.horizon, got)
		works(t, e)
		sameCells(t, got, atOnce(t, in))
	})
}

// A fresh engine that is fed the same sets and advanced without output knows what
// its predecessor published: from then on both publish the same.
func TestRecoveryPublishesNothingTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawWorld(t)
		before, after := split(t, in.adds())
		at := worldStart + 10_000*rapid.Int64Range(0, worldLen/10_000).Draw(t, "crash") // early results are due
		old, fresh := newEngine(t, atOnceToo(cold(t, in))), newEngine(t, atOnceToo(cold(t, in)))
		for i, add := range before {
			add(old)
			if i%3 == 0 {
				old.Advance(min(at-1, worldStart+int64(i)*1_000), false, newLedger(discard{t}))
			}
		}
		old.Advance(at, false, newLedger(discard{t}))
		for _, add := range before {
			add(fresh)
		}
		fresh.Advance(at, false, nil)
		got, want := newLedger(discard{t}), newLedger(discard{t})
		for i, add := range after {
			add(old)
			add(fresh)
			h := at + int64(i)*9_000
			old.Advance(h, false, want)
			fresh.Advance(h, false, got)
		}
		finish(old, in.horizon, want)
		finish(fresh, in.horizon, got)
		works(t, old)
		works(t, fresh)
		if !maps.Equal(got.revision, want.revision) {
			t.Errorf("revisions published after recovery\n got %v\nwant %v", got.revision, want.revision)
		}
		sameCells(t, got, want)
	})
}

// discard is a rapid.TB for a ledger that sees only a part of the revisions.
type discard struct{ rapid.TB }

func (discard) Errorf(string, ...any) {}

func split(t *rapid.T, adds []func(*engine.Engine)) (before, after []func(*engine.Engine)) {
	order := rapid.Permutation(adds).Draw(t, "order")
	n := rapid.IntRange(0, len(order)).Draw(t, "before the crash")
	return order[:n], order[n:]
}

// Per resource and hour the rows add up: to the GPUs x the milliseconds of
// existence, and to rule 8's whole of each price in force.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawWorld(t)
		type slot struct {
			resource string
			hour     int64
		}
		type sums struct{ gpuMs, list int64 }
		want := map[slot]sums{}
		for _, r := range in.existing() {
			for _, s := range in.segments(r) {
				k := slot{r.Resource, s.from - s.from%money.Hour}
				w := want[k]
				w.gpuMs += int64(len(r.GPUs)) * (s.to - s.from)
				w.list += money.NewRate(s.price, len(r.GPUs), money.Hour).Cost(0, uint32(len(r.GPUs))*money.Whole, s.from-k.hour, s.to-k.hour)
				want[k] = w
			}
		}
		got := map[slot]sums{}
		for k, facts := range atOnce(t, in).cells {
			for _, f := range facts {
				k := slot{k.resource, k.window - k.window%money.Hour}
				s := got[k]
				got[k] = sums{s.gpuMs + f.gpuMs, s.list + f.list}
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("sums by resource and hour\n got %v\nwant %v", got, want)
		}
	})
}

// existing lists the records as they exist, by the letter of rule 1.
func (in *input) existing() (out []schemas.Resource) {
	for i, r := range in.resources {
		end, best := in.horizon, true
		for k, o := range in.resources {
			if o.Resource != r.Resource {
				continue
			}
			if o.From == r.From {
				best = best && (k == i || greater(r, o) || !greater(o, r) && i < k)
				if o.To != 0 {
					end = min(end, o.To)
				}
			}
			if o.From > r.From {
				end = min(end, o.From)
			}
		}
		r.From = max(r.From, in.from)
		if r.To = end; best && r.From < end {
			out = append(out, r)
		}
	}
	return out
}

// greater compares records by the fields that drawResource varies, in the order of
// the input contract. Absent idle watts are the lowest.
func greater(a, b schemas.Resource) bool {
	text := func(r schemas.Resource) string {
		return strings.Join(append([]string{r.Node, r.SKU, r.Model}, r.GPUs...), "\x00")
	}
	if x, y := text(a), text(b); x != y {
		return x > y
	}
	if a.To != b.To {
		return a.To > b.To
	}
	if a.Scheduler != b.Scheduler {
		return a.Scheduler
	}
	return a.IdleWatts+1 > b.IdleWatts+1
}

type segment struct{ from, to, price int64 }

// segments cuts a record's existence at hours and prices, by the letter of rule 7.
// Unpriced time has the price 0.
func (in *input) segments(r schemas.Resource) (out []segment) {
	cuts := []int64{r.From, r.To}
	for h := r.From - r.From%money.Hour; h < r.To; h += money.Hour {
		cuts = append(cuts, h)
	}
	for _, p := range in.prices {
		cuts = append(cuts, p.From, p.To)
	}
	slices.Sort(cuts)
	for i := range len(cuts) - 1 {
		from, to := max(cuts[i], r.From), min(cuts[i+1], r.To)
		if from < to {
			out = append(out, segment{from, to, in.priceAt(r, from)})
		}
	}
	return out
}

func (in *input) priceAt(r schemas.Resource, t int64) int64 {
	var known int64 = -1
	var price int64
	var currency string
	conflict := false
	for _, p := range in.prices {
		at := p.KnownAt
		if at == 0 {
			at = p.From
		}
		if p.SKU != r.SKU || p.From > t || p.To != 0 && p.To <= t || at < known {
			continue
		}
		if at == known {
			conflict = conflict || p.PerHour != price || p.Currency != currency
			continue
		}
		known, price, currency, conflict = at, p.PerHour, p.Currency, false
	}
	if conflict {
		return 0
	}
	return price
}

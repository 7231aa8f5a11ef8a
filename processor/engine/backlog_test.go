package engine_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
)

// A turn is what a shell commits: how many events the cells reflect, at which
// horizon, and of what is behind how far it has come and as of which turns.
type turn struct {
	fed     int
	horizon int64
	behind  []int64
	bases   []*turn
}

// A runner takes turns with an engine, as the shell does.
type runner struct {
	*engine.Engine
	adds []func(*engine.Engine)
	last *turn
}

func (r *runner) take(upTo int, horizon int64, out engine.Output) {
	for _, add := range r.adds[r.last.fed:upTo] {
		add(r.Engine)
	}
	r.Advance(horizon, false, out)
	r.last = &turn{fed: upTo, horizon: horizon, behind: slices.Clone(r.Behind())}
}

// turns runs r over all turns, keeping what each commits.
func (r *runner) turns(plan []turn, out engine.Output) (all []*turn) {
	for _, p := range plan {
		before := r.last
		r.take(p.fed, p.horizon, out)
		switch n := len(r.last.behind); {
		case n > len(before.bases):
			r.last.bases = append([]*turn{before}, before.bases...)
		default:
			r.last.bases = before.bases[len(before.bases)-n:]
		}
		all = append(all, r.last)
	}
	return all
}

// recover brings a fresh engine to what was committed, as of an archive that is as
// of an earlier turn.
func (r *runner) recover(at, since *turn) {
	bring := func(t *turn, behind []int64) {
		r.Hold(behind)
		for ; r.last.fed < t.fed; r.last.fed++ {
			r.adds[r.last.fed](r.Engine)
		}
		if t.horizon != 0 {
			r.Advance(t.horizon, false, nil)
		}
	}
	for i := len(at.bases) - 1; i >= 0; i-- {
		if base := at.bases[i]; base.horizon > since.horizon {
			bring(base, at.behind[i+1:])
		}
	}
	bring(at, at.behind)
	r.last = at
}

func drawPlan(t *rapid.T, events int) (plan []turn) {
	fed, step := 0, int64(0)
	for range rapid.IntRange(1, 12).Draw(t, "turns") {
		fed = rapid.IntRange(fed, events).Draw(t, "fed")
		step += rapid.Int64Range(1, 3).Draw(t, "steps") // of early results, which are due then: a successor takes those as published
		plan = append(plan, turn{fed: fed, horizon: worldStart + 10_000*step})
	}
	return plan
}

// An engine dies with a backlog. A fresh one, brought over the turns that the
// backlog is as of, publishes from then on what that one would have: nothing twice,
// nothing less. So does one that takes over from that one.
func TestBacklogOutlivesItsEngine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawWorld(t)
		adds := rapid.Permutation(in.adds()).Draw(t, "order")
		cfg := in.config()
		cfg.Backlog = rapid.Int64Range(1, 6).Draw(t, "backlog")
		plan := drawPlan(t, len(adds))
		died := rapid.IntRange(1, len(plan)).Draw(t, "died after")
		again := rapid.IntRange(died, len(plan)).Draw(t, "and again after")

		old := &runner{Engine: newEngine(t, cfg), adds: adds, last: &turn{}}
		published := newLedger(discard{t})
		at := old.turns(plan[:died], published)[died-1]
		got, want := newLedger(discard{t}), newLedger(discard{t})
		heir := &runner{Engine: newEngine(t, cfg), adds: adds, last: &turn{}}
		heir.recover(at, &turn{})
		heir.turns(plan[died:again], got)
		fresh := &runner{Engine: newEngine(t, cfg), adds: adds, last: &turn{}}
		fresh.recover(heir.last, &turn{})

		old.turns(plan[died:], want)
		fresh.turns(plan[again:], got)
		for _, r := range []struct {
			*runner
			out *ledger
		}{{old, want}, {fresh, got}} {
			for _, add := range adds[r.last.fed:] {
				add(r.Engine)
			}
			finish(r.Engine, in.horizon, r.out)
		}
		if !maps.Equal(got.revision, want.revision) {
			t.Errorf("revisions published after recovery\n got %v\nwant %v", got.revision, want.revision)
		}
		sameCells(t, got, want)
		published.merge(got)
		sameCells(t, published, atOnce(t, in))
	})
}

// merge puts what another ledger has over l.
func (l *ledger) merge(o *ledger) {
	maps.Copy(l.cells, o.cells)
}

// A saving is an archive as of a turn; the samples before oldest are in it.
type saving struct {
	at      *turn
	archive *archive.Memory
	oldest  int64
}

// save copies the archive of r as the shell does, which keeps the one that it had
// while memory alone has something that is behind.
func (r *runner) save(memory *archive.Memory, had saving) saving {
	if !r.Settled() {
		return had
	}
	return saving{r.last, memory.Clone(), r.Oldest()}
}

// The same with an archive, which is as of an earlier turn, or of none.
func TestBacklogOutlivesItsEngineWithArchive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawWorld(t)
		adds := in.adds()
		order := rapid.Permutation(numbers(len(adds))).Draw(t, "order")
		ordered := make([]func(*engine.Engine), len(order))
		for i, k := range order {
			ordered[i] = adds[k]
		}
		memory, cfg := &archive.Memory{}, in.config()
		cfg.Archive, cfg.Hot = sound{memory, t}, rapid.SampledFrom([]int64{0, 20_000, 100_000}).Draw(t, "hot")
		cfg.Backlog = rapid.Int64Range(1, 6).Draw(t, "backlog")
		plan := drawPlan(t, len(adds))
		copied := rapid.IntRange(1, len(plan)).Draw(t, "copied after")
		died := rapid.IntRange(copied, len(plan)).Draw(t, "died after")
		again := rapid.IntRange(died, len(plan)).Draw(t, "and again after")
		begin := func(from saving) *runner {
			memory = from.archive.Clone()
			cfg.Archive = sound{memory, t}
			r := &runner{Engine: newEngine(t, cfg), adds: ordered, last: &turn{}}
			if from.at.horizon != 0 {
				add(r.Engine, adds, in.without(order[:from.at.fed], from.oldest))
				r.Hold(from.at.behind)
				r.Advance(from.at.horizon, false, nil)
				r.last = &turn{fed: from.at.fed}
			}
			return r
		}

		old, published := &runner{Engine: newEngine(t, cfg), adds: ordered, last: &turn{}}, newLedger(discard{t})
		old.turns(plan[:copied], published)
		last := old.save(memory, saving{at: &turn{}, archive: &archive.Memory{}})
		old.turns(plan[copied:died], published)
		got, want := newLedger(discard{t}), newLedger(discard{t})
		heir := begin(last)
		heir.recover(old.last, last.at)
		heir.turns(plan[died:again], got)
		last = heir.save(memory, last)
		fresh := begin(last)
		fresh.recover(heir.last, last.at)

		old.turns(plan[died:], want)
		fresh.turns(plan[again:], got)
		for _, r := range []struct {
			*runner
			out *ledger
		}{{old, want}, {fresh, got}} {
			for _, add := range ordered[r.last.fed:] {
				add(r.Engine)
			}
			finish(r.Engine, in.horizon, r.out)
			works(t, r.Engine)
		}
		if !maps.Equal(got.revision, want.revision) {
			t.Errorf("revisions published after recovery\n got %v\nwant %v", got.revision, want.revision)
		}
		published.merge(got)
		sameCells(t, published, atOnce(t, in))
	})
}

// A resource of ten years ago comes to an engine that keeps 45 days. All of it is
// published, the newest windows first, some at a time, and an engine that takes
// over in the middle goes on.
func TestResourceOfTenYears(t *testing.T) {
	const hour, year = 3_600_000, 365 * 24 * 3_600_000
	cfg := config()
	cfg.Window, cfg.EarlyEvery, cfg.Backlog = hour, 0, 5_000
	old := schemas.Resource{Node: "n", Resource: "r", Provider: "p", GPUs: []string{"g0", "g1"}, From: worldStart - 10*year, PricingCategory: "owned", IdleWatts: schemas.Absent32}
	start := old
	start.From, start.Resource, start.Node = worldStart-hour, "other", "m"
	adds := []func(*engine.Engine){
		func(e *engine.Engine) { e.AddResource(&start) },
		func(e *engine.Engine) { e.AddResource(&old) },
	}
	for _, fed := range [][]int{{1, 2, 2, 2}, {2, 2, 2, 2}} { // beside another, or as the first of all
		plan := make([]turn, len(fed))
		for i := range plan {
			plan[i] = turn{fed: fed[i], horizon: worldStart + int64(i)*10_000}
		}
		l := newLedger(t)
		first := &runner{Engine: newEngine(t, cfg), adds: adds, last: &turn{}}
		before := 0
		for _, p := range plan {
			first.turns([]turn{p}, l)
			if n := len(l.cells) - before; n > 5_000+4 {
				t.Errorf("an Advance published %d cells", n)
			}
			before = len(l.cells)
		}
		heir := &runner{Engine: newEngine(t, cfg), adds: adds, last: &turn{}}
		heir.recover(first.last, &turn{})
		if b := heir.Backlog(); b.Resource != "r" || b.Since != old.From-old.From%hour || b.Cells <= 0 {
			t.Errorf("backlog %+v", b)
		}
		finish(heir.Engine, worldStart+hour, l)
		want := newLedger(t)
		cfg.Backlog = 0
		all := newEngine(t, cfg)
		cfg.Backlog = 5_000
		for _, add := range adds {
			add(all)
		}
		all.Advance(worldStart+hour, true, want)
		if len(want.cells) < 2*10*365*24 || len(l.cells) != len(want.cells) {
			t.Errorf("%d cells, want %d", len(l.cells), len(want.cells))
		}
		for k, n := range l.revision {
			if n != 1 && k.window < worldStart-hour {
				t.Fatalf("%v was published %d times", k, n)
			}
		}
		if len(l.letters) != 0 {
			t.Errorf("%+v", l.letters)
		}
	}
}

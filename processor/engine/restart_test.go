package engine_test

import (
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/processor/archive"
	"github.com/gpumeter/gpumeter/processor/engine"
)

// An engine that dies leaves its archive. Another one that begins with it, is fed
// what is not in it, and is brought over what came since to where the other was,
// publishes from then on what that one would have: nothing twice, nothing less.
func TestArchiveOutlivesItsEngine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawWorld(t)
		adds := in.adds()
		order := rapid.Permutation(numbers(len(adds))).Draw(t, "order")
		saved := rapid.IntRange(0, len(order)).Draw(t, "before the copy")
		died := rapid.IntRange(saved, len(order)).Draw(t, "before the death")
		at := rapid.Int64Range(0, worldLen/10_000).Draw(t, "copy")
		then := rapid.Int64Range(at, worldLen/10_000).Draw(t, "death")
		memory, cfg := &archive.Memory{}, in.config()
		cfg.Archive, cfg.Hot = sound{memory, t}, rapid.SampledFrom([]int64{0, 20_000, 100_000}).Draw(t, "hot")
		old := newEngine(t, cfg)
		for i, k := range order[:saved] {
			adds[k](old)
			if i%3 == 0 {
				old.Advance(min(worldStart+10_000*at-1, worldStart+int64(i)*9_000), false, newLedger(discard{t}))
			}
		}
		old.Advance(worldStart+10_000*at, false, newLedger(discard{t}))
		copied, oldest := memory.Clone(), old.Oldest()
		add(old, adds, order[saved:died])
		old.Advance(worldStart+10_000*then, false, newLedger(discard{t}))

		cfg.Archive = sound{copied, t}
		fresh := newEngine(t, cfg)
		add(fresh, adds, in.without(order[:saved], oldest))
		fresh.Advance(worldStart+10_000*at, false, nil)
		add(fresh, adds, order[saved:died])
		fresh.Advance(worldStart+10_000*then, false, nil)

		got, want := newLedger(discard{t}), newLedger(discard{t})
		for i, k := range order[died:] {
			adds[k](old)
			adds[k](fresh)
			old.Advance(worldStart+10_000*then+int64(i)*9_000, false, want)
			fresh.Advance(worldStart+10_000*then+int64(i)*9_000, false, got)
		}
		old.Advance(in.horizon, true, want)
		fresh.Advance(in.horizon, true, got)
		works(t, old)
		works(t, fresh)
		if !maps.Equal(got.revision, want.revision) {
			t.Errorf("revisions published after the restart\n got %v\nwant %v", got.revision, want.revision)
		}
		sameCells(t, got, want)
	})
}

func add(e *engine.Engine, adds []func(*engine.Engine), which []int) {
	for _, k := range which {
		adds[k](e)
	}
}

func numbers(n int) (all []int) {
	for i := range n {
		all = append(all, i)
	}
	return all
}

// without leaves out of a selection of in.adds the samples before an instant.
func (in *input) without(which []int, oldest int64) (kept []int) {
	samples := len(in.adds()) - len(in.samples)
	for _, k := range which {
		if k < samples || in.samples[k-samples].TS[0] >= oldest {
			kept = append(kept, k)
		}
	}
	return kept
}

package meter

import (
	"math/rand/v2"
	"testing"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A bulky engine publishes, at its first Advance, cells in one batch that no
// record can hold, and letters with full payloads.
type bulky struct {
	Engine
	costs   *schemas.Costs
	letters []schemas.DeadLetter
}

func (b *bulky) Advance(_ int64, _ bool, out engine.Output) {
	if out == nil || b.costs == nil {
		return
	}
	out.Costs(b.costs)
	for _, l := range b.letters {
		out.Report(l)
	}
	b.costs = nil
}

// noise does not compress, not even beside noise of another seed.
func noise(seed, n int) []byte {
	r := rand.New(rand.NewPCG(50, uint64(seed)))
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"[r.IntN(64)]
	}
	return b
}

func TestLargeOutputIsCut(t *testing.T) {
	const cells, letters = 6, 20
	c := newCluster(t)
	cfg := c.config("a")
	cfg.NewEngine = func(ec engine.Config) (Engine, error) {
		inner, err := newLedger(ec)
		if !ec.ReportPrices { // of partition 0
			return inner, err
		}
		b := &bulky{Engine: inner, costs: newCosts(2 * cells)}
		for i := range 2 * cells { // two rows a cell
			setText(&b.costs.Node, i, "n")
			setText(&b.costs.Labels, i, string(noise(i, 150_000)))
			b.costs.Window[i] = int64(i / 2)
			b.costs.RunsEnd[i] = 0
		}
		for i := range letters {
			b.letters = append(b.letters, schemas.DeadLetter{Reason: schemas.ReasonNoStart, Payload: noise(i, schemas.MaxPayload)})
		}
		return b, err
	}
	start(t, cfg)
	c.finish(t0)
	var dec wire.CostDecoder
	seen := map[int64]int{}
	written := c.readAll(schemas.StreamCost)
	if len(written) < 2 {
		t.Errorf("%d records: nothing was cut", len(written))
	}
	for _, rec := range written {
		var costs schemas.Costs
		if err := dec.Decode(&costs, rec); err != nil {
			t.Fatal(err)
		}
		if len(rec.Value) > maxValue {
			t.Errorf("a record of %d bytes", len(rec.Value))
		}
		for i := range costs.Len() {
			if startsCell(&costs, i) {
				seen[costs.Window[i]]++
			}
		}
	}
	for w, n := range seen {
		if n != 1 {
			t.Errorf("cell %d is in %d records", w, n)
		}
	}
	if len(seen) != cells {
		t.Errorf("%d cells of %d", len(seen), cells)
	}
	recs := c.readAll(schemas.StreamDeadLetters)
	if got := c.letters(); len(got) != letters || len(recs) < 2 {
		t.Errorf("%d letters of %d in %d records", len(got), letters, len(recs))
	}
}

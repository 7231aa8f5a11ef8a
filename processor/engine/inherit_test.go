package engine_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
)

// flags is an output that keeps of each revision of a cell whether it is final and
// whether it restates one.
type flags map[string]int

func (f flags) Costs(c *schemas.Costs) {
	for i := range c.Len() {
		f[fmt.Sprintf("%s %d final=%d restated=%d", c.Resource.Dict[c.Resource.Index[i]], c.Window[i], c.Finality[i], c.Restated[i])]++
	}
}

func (flags) Activity([]schemas.Activity) {}

func (flags) Report(schemas.DeadLetter) {}

// Whatever changes the past after a restart restates the same cells, as restated
// ones, as without the restart.
func TestPastAfterARestart(t *testing.T) {
	older, other, gone := resource("older", false, "g"), resource("r", false, "h"), resource("r", false, "g")
	older.From -= 3_600_000
	other.From, gone.To = start, start+200_000
	other.Region = "z"
	for name, change := range map[string]func(*engine.Engine){
		"late sample":     func(e *engine.Engine) { e.AddSamples(reading("g", 100, 7)) },
		"sample of a gap": func(e *engine.Engine) { e.AddSamples(reading("g", 620, 7)) },
		"older record":    func(e *engine.Engine) { e.AddResource(older) },
		"another record":  func(e *engine.Engine) { e.AddResource(other) },
		"end of a record": func(e *engine.Engine) { e.AddResource(gone) },
		"price": func(e *engine.Engine) {
			e.AddPrice(&schemas.Price{Provider: "p", PricingCategory: "owned", Currency: "USD", PerHour: 1e9, From: start + 70_000})
		},
		"tag": func(e *engine.Engine) {
			e.AddTag(&schemas.Tag{Match: "allocation=a", Set: "team=blue", From: start + 70_000})
		},
		"end of a hold":    func(e *engine.Engine) { e.AddAllocation(held(schemas.EventEnd, "a", 300)) },
		"start of another": func(e *engine.Engine) { e.AddAllocation(held(schemas.EventStart, "b", 400, "g")) },
	} {
		t.Run(name, func(t *testing.T) {
			live, fresh := newEngine(t, config()), newEngine(t, config())
			for e, out := range map[*engine.Engine]engine.Output{live: flags{}, fresh: nil} {
				e.AddResource(resource("r", false, "g"))
				e.AddAllocation(held(schemas.EventStart, "a", 60, "g"))
				e.AddSamples(reading("g", 50, 500_000))
				e.AddSamples(reading("g", 120, 500_000))
				e.Advance(start+600_000, false, out)
			}
			want, got := flags{}, flags{}
			for e, out := range map[*engine.Engine]flags{live: want, fresh: got} {
				change(e)
				e.Advance(start+700_000, false, out)
			}
			if !maps.Equal(got, want) || len(want) == 0 {
				t.Errorf("published after a restart\n got %v\nwant %v", got, want)
			}
		})
	}
}

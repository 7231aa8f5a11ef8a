package meter

import (
	"testing"

	"github.com/gpumeter/gpumeter/processor/engine"
)

// What is read as a position is what it writes.
func FuzzParsePosition(f *testing.F) {
	f.Add(Position{}.String())
	f.Add(Position{Refs: Refs{1, 2, 3, 4, 5}, Horizon: t0, Final: true, Applied: 6, Topics: Topics{7}}.String())
	f.Add(Position{Behind: Behind{Levels: 2, Level: [engine.MaxBehind]Level{{Before: t0, Samples: -1}, {Before: -5, Horizon: t0}}}}.String())
	f.Add("gpumeter/2 refs=1,2")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParsePosition(text); err == nil && p.String() != text {
			t.Fatalf("%q is read as %q", text, p)
		}
	})
}

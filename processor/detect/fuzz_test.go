package detect

import "testing"

// What is read as a position is what it writes.
func FuzzParsePosition(f *testing.F) {
	f.Add(Position{}.String())
	f.Add(Position{From: 7, Seen: t0, Topic: 9}.String())
	f.Add("gpumeter-detect/2 from=1")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := ParsePosition(text); err == nil && p.String() != text {
			t.Fatalf("%q is read as %q", text, p)
		}
	})
}

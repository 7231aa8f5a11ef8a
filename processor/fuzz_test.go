package processor

import "testing"

// A class that is read is read again from what it writes.
func FuzzIdleClass(f *testing.F) {
	f.Add("interactive notice=15m alert=2h grace=10m share=0.05")
	f.Add("x share=NaN")
	f.Add("x notice")
	f.Fuzz(func(t *testing.T, text string) {
		var c, again IdleClass
		if c.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(c.String())); err != nil || again.String() != c.String() {
			t.Fatalf("%q is read as %q, and that as %q: %v", text, c, again, err)
		}
		_, _ = Idleness{Classes: []IdleClass{c}}.Config() // refused or not
	})
}

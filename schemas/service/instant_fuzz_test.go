package service

import "testing"

// An instant is read, or refused with how to write it.
func FuzzInstant(f *testing.F) {
	f.Add("1780275600000")
	f.Add("2026-06-01T01:00:00Z")
	f.Add("soon")
	f.Fuzz(func(t *testing.T, text string) {
		var i Instant
		if err := i.UnmarshalText([]byte(text)); err != nil && err.Error() == "" {
			t.Fatal("refused without a word")
		}
	})
}

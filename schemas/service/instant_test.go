package service

import "testing"

func TestInstant(t *testing.T) {
	for text, want := range map[string]Instant{
		"1675810800000": 1675810800000, "2023-02-07T23:00:00Z": 1675810800000, "2023-02-08T00:00:00.25+01:00": 1675810800250, "2023-02-07T23:00:00.2509Z": 1675810800250, "0": 0,
	} {
		var got Instant
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
		var again Instant
		if text, _ := got.MarshalText(); got != 0 && (again.UnmarshalText(text) != nil || again != got) {
			t.Errorf("%s: written as %s", got, text)
		}
	}
	var i Instant
	for _, text := range []string{"", "yesterday", "2023-02-07", "1.5"} {
		if err := i.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q: read as %d", text, i)
		}
	}
}

package meter

import (
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPositionText(t *testing.T) {
	p := Position{Refs: Refs{1, 2, 3, 4, 5}, Horizon: 1_780_275_600_000, Final: true, Applied: 6, Topics: Topics{7, 8, 9, 10, 11, 4_294_967_295}}
	const want = "gpumeter/2 refs=1,2,3,4,5 horizon=1780275600000 final=true applied=6 topics=7,8,9,10,11,4294967295"
	if got := p.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPositionRoundTrip(t *testing.T) {
	offset := rapid.Int64Range(0, math.MaxInt64)
	rapid.Check(t, func(t *rapid.T) {
		var p Position
		for i := range p.Refs {
			p.Refs[i] = offset.Draw(t, "ref")
		}
		for i := range p.Topics {
			p.Topics[i] = rapid.Uint32().Draw(t, "topic")
		}
		p.Horizon, p.Final, p.Applied = offset.Draw(t, "horizon"), rapid.Bool().Draw(t, "final"), offset.Draw(t, "applied")
		p.Behind.Levels = rapid.IntRange(0, len(p.Behind.Level)).Draw(t, "levels")
		for i := range p.Behind.Levels {
			l := &p.Behind.Level[i]
			l.Before, l.Samples = rapid.Int64().Draw(t, "before"), rapid.Int64Range(-1, math.MaxInt64).Draw(t, "samples")
			l.Refs, l.Horizon, l.Final = Refs{offset.Draw(t, "ref of a level")}, offset.Draw(t, "horizon of a level"), rapid.Bool().Draw(t, "final level")
		}
		got, err := ParsePosition(p.String())
		if err != nil || got != p {
			t.Fatalf("%v read back as %v, %v", p, got, err)
		}
		// Kafka's default for offset.metadata.max.bytes.
		if len(p.String()) > 4096 {
			t.Fatalf("%d bytes of metadata", len(p.String()))
		}
	})
}

func TestPositionRefusesWhatItDidNotWrite(t *testing.T) {
	whole := Position{Horizon: 7}.String()
	behind := Position{Behind: Behind{Levels: 1}}.String()
	for i := range behind[len(Position{}.String())+1:] {
		text := behind[:len(behind)-1-i]
		if p, err := ParsePosition(text); err == nil {
			t.Errorf("%q was read as %v", text, p)
		}
	}
	for i := range whole {
		if p, err := ParsePosition(whole[:i]); err == nil {
			t.Errorf("%q was read as %v", whole[:i], p)
		}
	}
	for _, text := range []string{
		whole + "0 ", whole + " x", strings.Replace(whole, "gpumeter/2", "gpumeter/1", 1), strings.Replace(whole, "=7", "=07", 1),
		"member-1f0c", whole + strings.Repeat(behind[len(Position{}.String()):], len(Behind{}.Level)+1), strings.Replace(whole, "false", "F", 1),
	} {
		if p, err := ParsePosition(text); err == nil {
			t.Errorf("%q was read as %v", text, p)
		}
	}
}

func TestRefsBelow(t *testing.T) {
	if !(Refs{1, 2}).below(Refs{1, 2}) || !(Refs{}).below(Refs{1}) || (Refs{0, 3}).below(Refs{9, 2}) {
		t.Error("below is not element by element")
	}
}

package idle

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// A given finding, with the place of the record that led to it.
type given struct {
	place int64
	schemas.Finding
}

// recover is a detector that takes over from one that has added the first n
// records: it is told the findings, what Needs and Seen gave after some earlier
// record, and the records from there on.
func (s *script) recover(t *rapid.T, findings []given, needs, seen int64, n int) *Detector {
	d, err := New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.Resume(seen)
	for i := range findings {
		d.Restore(findings[i].place, &findings[i].Finding)
	}
	for place := int(needs); place <= n; place++ {
		d.Replay(int64(place), s.records[place-1])
	}
	return d
}

// A detector that was recovered after any record gives what one gives that was
// never interrupted: every field of every revision.
func TestRecoveredIsUninterrupted(t *testing.T) {
	recoveries, forgotten := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := drawScript(t, true)
		d, err := New(s.cfg)
		if err != nil {
			t.Fatal(err)
		}
		crash := rapid.IntRange(1, len(s.records)).Draw(t, "crash")
		noted := rapid.IntRange(1, crash).Draw(t, "noted") // when needs was asked last
		var findings []given
		needs, seen := int64(1), int64(0)
		add := func(d *Detector, i int) (out []schemas.Finding) { return d.Add(int64(i+1), s.records[i]) }
		for i := range crash {
			for _, f := range add(d, i) {
				findings = append(findings, given{int64(i + 1), f})
			}
			if i+1 == noted {
				var ok bool
				if needs, ok = d.Needs(); !ok {
					needs = int64(i + 2)
				}
				seen = d.Seen()
			}
		}
		again := s.recover(t, findings, needs, seen, crash)
		if recoveries++; needs > 1 {
			forgotten++
		}
		for i := crash; i < len(s.records); i++ {
			got, want := add(again, i), add(d, i)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("recovered after record %d (from %d); record %d gives\n%s\nuninterrupted\n%s", crash, needs, i+1, list(got), list(want))
			}
		}
	})
	t.Logf("%d of %d recoveries had something to forget", forgotten, recoveries)
	if recoveries >= 100 && forgotten == 0 { // a short run has too few to judge by
		t.Errorf("none of %d recoveries had anything to forget", recoveries)
	}
}

func list(all []schemas.Finding) (text string) {
	for _, f := range all {
		text += fmt.Sprintf("%s %v\n", told(f), f)
	}
	return text
}

package letters

import (
	"fmt"
	"testing"
)

// What is read as a place is what it is written as.
func FuzzParsePlace(f *testing.F) {
	f.Add("topic gpumeter.samples partition 3 offset 17")
	f.Add("samples.ndjson:7")
	f.Add("topic x partition -1 offset 0")
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parsePlace(text)
		if ok && (fmt.Sprintf(placeFormat, p.topic, p.partition, p.offset) != text || p.partition < 0 || p.offset < 0) {
			t.Fatalf("%q is read as %+v", text, p)
		}
		remedyFor(&Letter{Place: text, Stream: "samples"})
	})
}

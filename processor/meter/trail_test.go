package meter

import (
	"testing"

	"pgregory.net/rapid"
)

// Every record with a sample from some instant on lies at or behind where the trail
// begins once it has forgotten what is older; and a trail stays short.
func TestTrail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tr trail
		n := rapid.SampledFrom([]int64{10, 1_000, firstLength*maxSteps + 3}).Draw(t, "records")
		newest := make([]int64, n)
		jitter := rapid.Int64Range(0, 500).Draw(t, "jitter")
		for offset := range n {
			newest[offset] = offset - offset*7919%(jitter+1)
			tr.note(offset, newest[offset])
		}
		if len(tr.steps) > maxSteps {
			t.Fatalf("%d steps", len(tr.steps))
		}
		oldest := rapid.Int64Range(-jitter, n+1).Draw(t, "oldest")
		tr.forget(oldest)
		begin := tr.begin(n)
		for offset, ts := range newest {
			if int64(offset) < begin && ts >= oldest {
				t.Fatalf("record %d has a sample at %d, after %d, and the trail begins at %d", offset, ts, oldest, begin)
			}
		}
		if slack := int64(2*tr.length) + jitter; oldest <= n && begin < oldest-slack {
			t.Fatalf("the trail begins at %d, which is long before %d", begin, oldest)
		}
	})
}

package demo

import (
	"strings"
	"testing"
	"unicode"

	"github.com/clipperhouse/displaywidth"
	"pgregory.net/rapid"
)

func TestFitIsExactlyAsWide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, width := rapid.String().Draw(t, "text"), rapid.IntRange(0, 40).Draw(t, "width")
		got := fit(s, width)
		if w := displaywidth.String(got); w != width {
			t.Errorf("%d columns: %q", w, got)
		}
		if strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("steers the terminal: %q", got)
		}
	})
	for s, want := range map[string]string{"abcdef": "abc…", "ab": "ab  ", "日本語": "日… ", "a\x1b[31m": "a·[…", "a\u202eb": "a·b "} {
		if got := fit(s, 4); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}

// Parts add up to the whole, and no part is a whole unit from its exact share.
func TestDivide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0, 1000), 1, 6).Draw(t, "weights")
		n := rapid.IntRange(0, 500).Draw(t, "n")
		var sum float64
		for _, w := range weights {
			sum += w
		}
		parts, total := divide(weights, n), 0
		for i, p := range parts {
			total += p
			if exact := weights[i] / sum * float64(n); sum > 0 && (float64(p) < exact-1 || float64(p) > exact+1) {
				t.Errorf("part %d is %d, %f exactly", i, p, exact)
			}
		}
		if sum > 0 && total != n || sum == 0 && total != 0 {
			t.Errorf("%v of %d add up to %d", parts, n, total)
		}
	})
}

// A single GPU among thousands is seen.
func TestEveryStateHasACell(t *testing.T) {
	parts := proportional([]int{5000, 1, 0, 1, 0, 1}, 40)
	if parts[0] != 37 || parts[1] != 1 || parts[2] != 0 || parts[3] != 1 || parts[5] != 1 {
		t.Errorf("%v", parts)
	}
}

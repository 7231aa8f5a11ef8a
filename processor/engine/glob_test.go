package engine

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"?", "", false},
		{"?", "é", true},
		{"??", "é", false},
		{"slurm/*", "slurm/c/1", true},
		{"slurm/*", "Slurm/c/1", false},
		{"*/1", "slurm/c/1", true},
		{"a*b*c", "a1b2b3c", true},
		{"a*b*c", "a1c2b", false},
		{"a?c", "abc", true},
		{"a?c", "ac", false},
		{"[ab]", "a", false},
		{"[ab]", "[ab]", true},
		{"\\*", "\\x", true},
		{"**", "x", true},
	} {
		if got := glob(c.pattern, c.text); got != c.want {
			t.Errorf("glob(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}

// A glob is the regular expression with .* for * and . for ?.
func TestGlobIsARegularExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringOfN(rapid.RuneFrom([]rune("ab/*?é.")), 0, 8, -1).Draw(t, "pattern")
		text := rapid.StringOfN(rapid.RuneFrom([]rune("ab/é.")), 0, 10, -1).Draw(t, "text")
		expression := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern))
		if want := regexp.MustCompile("(?s)^" + expression + "$").MatchString(text); glob(pattern, text) != want {
			t.Fatalf("glob(%q, %q) = %v", pattern, text, !want)
		}
	})
}

func TestGlobIsNotExponential(t *testing.T) {
	pattern, text := strings.Repeat("a*", 50)+"b", strings.Repeat("a", 10_000)
	if glob(pattern, text) {
		t.Error("matches")
	}
}

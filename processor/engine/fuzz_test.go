package engine

import "testing"

// A pattern matches as its definition, read letter by letter, says.
func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{{"*", ""}, {"a*b?c", "axxbyc"}, {"?", "é"}, {"**a", "ba"}, {"a", "A"}, {"*\xff", "\xff"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 12 || len(text) > 24 {
			return // the definition takes exponential time
		}
		if got, want := glob(pattern, text), globByDefinition([]rune(pattern), []rune(text)); got != want && validText(pattern) && validText(text) {
			t.Fatalf("glob(%q, %q) = %t", pattern, text, got)
		}
	})
}

func validText(s string) bool { return string([]rune(s)) == s }

func globByDefinition(pattern, text []rune) bool {
	switch {
	case len(pattern) == 0:
		return len(text) == 0
	case pattern[0] == '*':
		return globByDefinition(pattern[1:], text) || len(text) > 0 && globByDefinition(pattern, text[1:])
	case len(text) == 0:
		return false
	}
	return (pattern[0] == '?' || pattern[0] == text[0]) && globByDefinition(pattern[1:], text[1:])
}

package engine

import "unicode/utf8"

// glob tells whether pattern matches the whole of s: * any characters, / too,
// ? exactly one, everything else itself. A character is a UTF-8 code point, or a
// byte that is not part of one. Each * remembers only the last try, so the time is
// at most the product of the lengths.
func glob(pattern, s string) bool {
	p, i := 0, 0
	star, tried := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, tried = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			_, n := utf8.DecodeRuneInString(s[i:])
			p, i = p+1, i+n
		case p < len(pattern) && pattern[p] == s[i]:
			p, i = p+1, i+1
		case star >= 0:
			_, n := utf8.DecodeRuneInString(s[tried:])
			tried += n
			p, i = star+1, tried
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

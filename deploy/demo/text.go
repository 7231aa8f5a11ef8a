package demo

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/clipperhouse/displaywidth"
)

// cut ends s, with an ellipsis, where it is wider than width columns. Names come
// from other people's jobs: what would steer the terminal is shown as a dot.
func cut(s string, width int) string {
	if width <= 0 {
		return ""
	}
	return displaywidth.TruncateString(plain(s), width, "…")
}

// fit makes s exactly width columns wide: cut, or filled.
func fit(s string, width int) string {
	s = cut(s, width)
	for displaywidth.String(s) < width { // some characters take the next one in
		s += " "
	}
	return s
}

// plain is s without control characters, nor what turns the direction of text.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return '·'
		}
		return r
	}, s)
}

// glyphs tell the states apart without colours.
func glyphs() []string { return []string{"█", "▓", "▒", "░", "x", "·"} }

// whole rounds the states' GPUs so that they add up to all of them.
func whole(states []State, gpus uint64) []int {
	weights := make([]float64, len(states))
	for i, s := range states {
		weights[i] = s.GPUs
	}
	return divide(weights, int(gpus))
}

// proportional divides cells by the counts; a state with GPUs has one at least.
func proportional(counts []int, cells int) []int {
	weights := make([]float64, len(counts))
	for i, n := range counts {
		weights[i] = float64(n)
	}
	parts := divide(weights, cells)
	for i, n := range counts {
		if n > 0 && parts[i] == 0 {
			most := slices.Index(parts, slices.Max(parts))
			parts[most]--
			parts[i]++
		}
	}
	return parts
}

// divide gives each weight its part of n, by largest remainder. Without any
// weight nothing is given.
func divide(weights []float64, n int) []int {
	parts, rest := make([]int, len(weights)), n
	var sum float64
	for _, w := range weights {
		sum += w
	}
	if sum <= 0 {
		return parts
	}
	order := make([]int, len(weights))
	remainder := make([]float64, len(weights))
	for i, w := range weights {
		exact := w / sum * float64(n)
		floor := math.Floor(exact)
		order[i], parts[i], remainder[i] = i, int(floor), exact-floor
		rest -= parts[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainder[b], remainder[a]) })
	for _, i := range order[:min(max(rest, 0), len(order))] {
		parts[i]++
	}
	return parts
}

// styles are what a terminal can do: colours, or nothing.
type styles bool

func (s styles) sgr(code, text string) string {
	if !s || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s styles) title(text string) string { return s.sgr("7", text) }
func (s styles) bold(text string) string  { return s.sgr("1", text) }
func (s styles) dim(text string) string   { return s.sgr("2", text) }
func (s styles) alarm(text string) string { return s.sgr("1;31", text) }

// state colours what belongs to state number i of the enum.
func (s styles) state(i int, text string) string {
	codes := []string{"32", "33", "31", "34", "35", "90"}
	return s.sgr(codes[i], text)
}

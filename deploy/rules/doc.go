// Package rules holds the repository to its own rules: who may import whom,
// what a pure package may not touch, what stands at the top level, how long a
// function may be. It has tests only; a rule that fails names the file and the
// line.
package rules

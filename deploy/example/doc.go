// Package example is one small night of two clusters, with everything that a
// ledger's reader asks about: a training run whose end is reported late, a change
// of price at midnight, a price that nobody knows until the morning, a notebook
// that holds its memory, a finished job that was not released, two pods that
// share a GPU, an outage of the collector, lines that must be refused, and the
// findings of it.
//
// The queries of docs/sql.md and the panels of the dashboard are run on it. It is
// written by hand to be read, not to be large; package generate writes large and
// odd ones.
//
//	night/  what was known at four in the morning
//	later/  what came after that, and restates the night
package example

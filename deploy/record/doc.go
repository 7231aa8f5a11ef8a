// Package record keeps what a source said as files of the input contract: a sink
// that writes each row down before it passes it on. What it wrote is the input
// from which the oracle recomputes the ledger of a source that has no files, and
// a replay of it gives the same ledger. A line that a source refused is passed on
// and not written: it is no event.
package record

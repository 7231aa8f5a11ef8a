// Package oracle recomputes the ledger from an input directory: the second
// opinion that verify and the tests hold the pipeline to.
//
// It is slow and obvious on purpose. It reads the files with encoding/json,
// encoding/csv and exact fractions, keeps everything in memory, and follows
// docs/rules.md sentence by sentence: records, holds, pieces, voices, spans,
// rows. It shares no code with any other part of gpumeter, not even money or
// names (a test checks its imports): what both have wrong would go unseen.
//
// What it does not do: it knows no revisions and no earlier horizons, publishes
// nothing, and explains refused lines by a count per file only.
package oracle

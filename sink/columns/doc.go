// Package columns turns batches of the wire into blocks of ClickHouse columns.
//
// Everything is a slice that is appended to a slice. A text arrives as a
// dictionary and leaves as a dictionary (LowCardinality), so that its work is
// per entry, not per row; numbers are copied as they are. It connects to
// nothing: package insert sends the blocks.
//
// Of the ways to hand the same rows to the same engine (benchmarks/sink, one
// run, inserts of pre-encoded blocks = 1), ch-go's columns reach 0.8 to 0.9,
// ArrowStream over HTTP 0.35, and clickhouse-go by column 0.3: it builds a map
// per LowCardinality value and a time.Time or big.Int per row. So ch-go's
// encoding carries every insert, on both protocols.
package columns

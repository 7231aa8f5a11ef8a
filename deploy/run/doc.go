// Package run holds the stages downstream of the collector in one process, between
// the broker and the ClickHouse of a stack: the same code as their binaries, for
// commands that bring the source themselves (a replay, the demo). It starts them
// downstream first, lets their caller move the ledger's time, tells when what was
// published is queryable, and stops them upstream first. It publishes no row and
// reads no clock.
package run

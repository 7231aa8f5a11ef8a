// Package sink stores the topics in ClickHouse: whole fetches become blocks of
// columns, one insert per table and flush, and the offsets are committed after
// the server has acknowledged them. A crash between the two repeats the insert,
// and the tables collapse what is double: at least once is enough.
//
// It knows no rules of the ledger. A cell is stored as it came, under a version
// that says which is newer:
//
//	version = generation of the cost topic · 2⁴⁸ + offset in its partition
//
// A node's cells are in one partition, in order, so versions of a cell rise;
// and a redelivered cell has the version that it had. generation.go says what
// a generation is.
//
// A server that does not take rows is waited for, whatever it says, unless the
// tables are not what is sent (package insert); memory holds two batches and
// what brokers have sent meanwhile. Where a partition is read on is judged, not
// left to the client: see resume.go.
package sink

// Package wire turns batches of rows into Kafka records and back.
//
// Two forms, one rule: the value is Arrow, the headers say what it takes to
// check it before anything is decoded.
//
//	samples       zstd( series RecordBatch message │ rows RecordBatch message )
//	everything    Arrow IPC stream with its schema; cost facts in a zstd frame
//
// A node's batch is small, so samples leave the schema out: the layout header
// names width, unit and coding of each column in one letter (see layout.go),
// and what the rows of one GPU have in common stands once, in the series table.
//
// Everything is read here, message by message, with every length checked before
// it is used (flat.go, frame.go, stream.go). Arrow's own reader makes room for
// what lengths in the metadata claim, and no check in front of it caught all of
// them: a record of a few bytes could end the process. What is written, any Arrow
// reader reads.
//
// Readers accept older and newer writers: columns are found by name or, for
// samples, are only ever appended; missing ones are absent, widened ones are
// read, unknown ones are skipped. Damaged or hostile bytes are an error.
//
// The package knows no topic but the record's own, and connects to nothing.
package wire

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
// The two hot streams are written and read here, message by message, with every
// length checked before it is used; Arrow itself only reads their schemas, and
// the streams of few rows, whose framing is checked before it does.
//
// Readers accept older and newer writers: columns are found by name or, for
// samples, are only ever appended; missing ones are absent, widened ones are
// read, unknown ones are skipped. Damaged or hostile bytes are an error.
//
// The package knows no topic but the record's own, and connects to nothing.
package wire

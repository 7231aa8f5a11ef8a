// Package letters is what a person does about dead letters: list them, publish
// what they are about again, or say that it needs nothing.
//
// The truth is ClickHouse's view dead_letters. The topic keeps letters for 45 days
// and lacks those that sinks write themselves; the table has all, for ever. What
// was done about a letter is a mark beside it (table dead_letter_marks), never a
// change of it.
//
// A letter about a record in Kafka names its place. The record itself, with its
// key and headers, is still in its topic for the retention of that topic, and is
// what is published again, at another offset. A letter about a line of a file holds
// the line whole up to 64 KiB, a table's row with its header, and it is read again
// by the collector's reader. Inputs are sets: publishing twice changes nothing.
package letters

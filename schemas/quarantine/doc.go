// Package quarantine keeps a record that kills its reader from doing so for
// ever. It knows no stream's rows and decides nothing else.
//
// Each reading goroutine has a Guard. Before it touches a record it notes the
// record's place in a small file, and rubs it out before it waits for anybody: a
// note that a new process finds names what its predecessor died of.
//
//	start 1   note "reading samples 3 17" ─► killed
//	start 2   finds the note: killed once   ─► reads it again ─► killed
//	start 3   finds the note: killed twice  ─► dead letter, row of gpumeter.quarantine, passed over
//
// One death may be chance (kill -9 of a person, a machine out of memory), so it
// takes two at one record that nobody has got past between. What kills later than while it
// is read, in the work on a whole turn, is found by turns of one record after
// the first death: such a record needs one start more.
//
// The note is local and may be lost, which costs two more deaths. What is passed
// over is in Kafka: members of a group and their successors compute their state
// from the same records. Without a directory nothing is noted, but the rows in
// Kafka hold.
package quarantine

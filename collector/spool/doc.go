// Package spool is a bounded queue on disk, one for each stream, for what cannot
// be sent now. It knows neither Kafka nor what is in a record.
//
//	spool.dir/
//	    lock                                     held by the collector that uses the directory
//	    position                                 how far each stream is taken, and the totals
//	    samples.<first seq>.<rows before>.spool  segments, oldest first
//	    allocations.…
//
// A segment is records one after the other. Integers are little-endian:
//
//	0     4      8    16     24   28     32     36
//	┌─────┬──────┬────┬──────┬────┬──────┬──────┬─────────
//	│magic│length│seq │before│rows│sum   │check │ record …
//	└─────┴──────┴────┴──────┴────┴──────┴──────┴─────────
//	       of the      rows   of   CRC32C CRC32C of the
//	       record      before it   of the 32 bytes before,
//	                   ever        record begun with the stream's name
//
// A record is damaged alone: where a header does not check, the next place is
// looked for that has the magic, a header that checks, a higher seq and a record
// that agrees with its sum. As before counts every row that was ever written,
// what is missing between two records is known to the row.
//
// Nothing is ever written behind damage: each start, and each failed write,
// begins a new segment. A record is on the disk when Sync has returned, and is
// in the spool until Done. What was taken since the position was last written
// comes again after a crash.
//
// When the size limit is reached, or the disk is full, the oldest segment of the
// most dispensable stream goes; the order is the caller's. A record is never put
// in the place of a less dispensable one: then it is itself what is dropped. The
// segment that is being sent is not dropped.
//
// At all times, by stream, in rows:
//
//	written = taken + dropped + damaged + held
//
// The totals are kept over restarts.
package spool

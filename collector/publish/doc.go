// Package publish sends rows to Kafka: it collects them into batches by node,
// encodes, produces and counts what the brokers acknowledged. It does not sort,
// deduplicate or judge them.
//
//	rows ──► groups (samples, processes: one a node; the rest: one a stream)
//	            │ full by rows or bytes · older than wait · too much held in all
//	            ▼
//	         one record ──► a carrier ──► brokers
//
// Of carriers there are two. direct is kgo's buffer, which is bounded: it blocks
// while the brokers are away, and keeps the order of one key. spooled goes around
// absent brokers by a spool on disk and blocks for a bounded time only.
//
// What was accepted is safe when Flush returns nil: acknowledged, or in the spool.
package publish

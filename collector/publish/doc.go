// Package publish sends rows to Kafka: it collects them into batches by node,
// encodes, produces idempotently and counts what the brokers acknowledged. Rows
// of one key are sent in the order in which they came. It does not sort,
// deduplicate or judge them.
//
//	rows ──► groups (samples, processes: one a node; the rest: one a stream)
//	            │ full by rows or bytes · older than wait · too much held in all
//	            ▼
//	         one record ──► kgo's buffer (bounded: Produce blocks) ──► brokers
//
// What was accepted is acknowledged when Flush returns nil.
package publish

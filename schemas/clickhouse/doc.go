// Package clickhouse is the ledger's storage: tables and views generated from
// the declarations of package schemas, the migrations that bring a server to
// them, and how to reach a server. It inserts nothing; the sink does.
//
// Tables hold what the topics said, in the units of the wire, one row per
// message row. People query the views:
//
//	cells ────────────────► cost           the newest revision of every fact
//	  │ (materialized view)
//	  └─► cells_history ──► cost_history   every revision that was not early, and what was retracted
//	allocations_log ──────► allocations    one row per allocation, with its costs
//	samples_log ──────────► samples        and likewise processes, resources, prices, tags, dead_letters
//
// Every table is a ReplacingMergeTree whose key makes a redelivered row
// collapse onto itself, and every view reads with FINAL, so that inserting at
// least once is enough.
//
// The DDL is text in migrations/, applied in order and never changed once
// released. It is generated (go generate) so that a column is declared once; a
// test fails when the declarations and the migrations drift apart.
package clickhouse

//go:generate go run ./generate

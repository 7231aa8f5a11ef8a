// Package meter is the Kafka shell around the pure engine: one loop, one
// transaction at a time.
//
// It reads samples and processes as a member of a consumer group, and the five
// reference topics (allocations, resources, prices, tags, ticks) whole, by a
// plain client. Each samples partition that it owns has an engine of its own.
// One turn of the loop is
//
//	poll ─► decode, rule 1 ─► engine.AddSamples ─┐
//	reference log ─► engine.AddAllocation, …  ───┼─► horizon ─► engine.Advance ─► cells, dead letters ─┐
//	                                             └───────────── offsets + Position ────────────────────┴─► one transaction
//
// A Position, kept as the metadata of the committed offset, says which reference
// events and which horizon the published cells reflect, and what of a change that
// reaches far back is still to come. So what was published is
// a function of what was committed, and a new owner recomputes it: it feeds a
// fresh engine the same inputs, advances it to the same horizon without
// publishing, and goes on. A transaction that aborts costs the same: the engines
// have swallowed what was not committed, so they are made anew.
//
// It has no rules of its own but rule 1's bounds, and no ClickHouse.
package meter

// Package engine holds rules 1 to 10: from samples, allocation events, resources,
// prices and tags it computes the ledger's cells. A cell is all cost facts of one
// resource's GPU in one window.
//
// It is pure: no clock, goroutine, Kafka, logger or global. Inputs are sets; none
// of the Add methods publishes anything, and neither order nor repetition of what
// they are given matters. Advance moves the horizon and publishes the cells that
// are new or changed, those of a change that reaches far back in steps
// (backlog.go). What it does not do: read or judge bytes, bound event times
// (package meter refuses those before). A fresh engine fed the same sets is the same
// engine; with an Archive, which it gets as an argument, it needs only what is not in
// there.
//
//	Add* ─► series   samples per GPU and slice, sorted            ┐
//	        holds    allocation events folded, per GPU            │ a change marks the
//	        records  what is paid for, who owns a GPU when        │ stretches of time of a
//	        prices   the row in force, per key of the price list  │ GPU that it can touch
//	        rules    attribution, per holder                      ┘
//	Advance ─► pieces ─► speaking samples ─► states ─► spans ─► rows ─► hash ─► batch
//
// Two ideas carry it. First, marks are generous: a marked cell is recomputed and
// dropped when its hash is that of the published one, so a mark too many costs
// time and a mark too few would be a wrong ledger. Second, only windows that are
// already final need marks; the others are recomputed when they are due. A third
// bounds memory: what is cold is brought back for the time of a computation, in the
// place of what is hot (cold.go, frozen.go).
package engine

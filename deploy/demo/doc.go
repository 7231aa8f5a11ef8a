// Package demo shows the whole pipeline live in one process: a source, the
// stages between an embedded broker and an embedded ClickHouse, a view of what
// ClickHouse answers, and at the end a summary with the verdict of package
// verify.
//
//	source    files of a directory, the GPUs of this node, or a synthetic fleet
//	          recorded on the way, so that the oracle can recompute the ledger
//	time      at speed 1 the broker's clock; else ticks that name how far the source is
//	view      numbers that any user gets by SQL, drawn on a terminal or as lines
//	stop      the source, then a final tick, then the stages from upstream down
//
// Drawing is pure: a frame is a function of a Model.
package demo

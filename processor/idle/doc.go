// Package idle finds allocations that hold GPUs and do not use them. It folds
// activity (schemas.Activity) into findings (schemas.Finding): pure, without
// Kafka, clock or goroutine. docs/rules.md, "Idle", is the rule that it follows.
//
//	rows ─► part: what one GPU of the allocation did, in the trailing window
//	          └► line: what all of them did together, piece by piece
//	               └► search: the first instant at which a trailing window is idle, or works
//	                    └► decide: opened, alert, step, resolved ─► a revision of the finding
//
// A caller hands over record by record, in order, and takes what comes out:
//
//	d, err := idle.New(idle.Config{Default: idle.DefaultSettings()})
//	for offset, rows := range records { // rows as wire.Decode gives them
//		for _, f := range d.Add(offset, rows) {
//			fmt.Println(f.Finding, f.Severity, f.Status, f.ThresholdAt, f.BurntCost)
//		}
//	}
//
// What a Detector knows is a function of the records since Needs and of the
// findings that it has given: another one that is told both (Restore, Replay)
// goes on where it stopped. It keeps the trailing window of every live
// allocation, a minute in some fifty bytes, and nothing else.
package idle

// Package fleet is the source that simulates a GPU fleet: nodes of eight GPUs,
// what runs on them, what goes wrong, and what each GPU reports. Every
// allocation follows a script that is drawn from the seed: when it works, when
// it only holds its GPUs, and how that looks to a sensor. So the truth is known,
// and a detector can be scored against it.
//
//	f, err := fleet.New(cfg)      // cfg.Start is given
//	err = f.Step(until, sink)     // all events before until, in order of time
//	done := f.Ended()             // truth of allocations that ended since the last call
//	open := f.Open()              // truth of those that run, up to the last until
//
// A Fleet reads no clock and starts nothing: its events are a function of the
// configuration, however the time is cut into steps. Live runs one against the
// wall clock, at any speed, and is the source that the collector names fleet.
//
//	seed ─► layout: nodes, GPUs, MIG slices, slots (what is handed out together)
//	         slot: job after job, with gaps ─► job: class, identity, phases
//	         node: faults; on its own grid of instants a sample of each series
//	script ─► events                     what a collector would see
//	script ─► truth (truth.go, idle.go)  what a detector should say
//
// The truth applies the rule of idleness to the script, second by second, and
// shares no code with any detector. What a cadence cannot see is not scripted:
// work of less than an interval, and holds that end between two samples of a
// shared GPU, lie on the grid of the node's samples.
//
// Times of the truth are relative to the start, and ids in it have no wall-clock
// part: two runs of one seed over one span write the same bytes. GPU and
// allocation ids of the events contain the start, so that two runs into one
// ledger are two fleets on the same nodes.
package fleet

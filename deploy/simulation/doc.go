// Package simulation holds the tests that run the pipeline in virtual time: collectors,
// processors (meter and detect) and sinks in one bubble of testing/synctest, between a
// simulated fleet, the embedded broker on a network without sockets, and a store in
// memory that stands in for ClickHouse. Hours pass in seconds, so that a run can hold
// more faults than a test in real time could wait for. It has no code of its own to
// use.
//
//	fleet ─► plant: late, twice, swapped, silent ─► collectors ─► brokers ─► processors ─► brokers ─► sinks ─► store
//	           └► files ─► oracle ─────────────────────────── must be equal ─────────────────────────────────────┘
//
// Two kinds of faults: some come at a random second, whatever runs then; others wait
// for the second in which a process has done half of what must be done whole (see
// killInserting), with late events to make that half matter. Controls, which are the
// pipeline with one place of the source changed, prove that it is noticed.
//
// What a seed repeats: the fleet's events, what becomes of each on its way and when it
// is handed over; the faults, their instants and their targets. What it does not: which
// of two goroutines that can run at one instant runs first, and the jitter that the
// Kafka client draws for its pauses. So a failure comes back with its seed often, and
// not always.
//
// It needs the build tag synctests, which the Kafka client has for this: who waits for
// a sync.Mutex keeps a bubble's clock from moving, and with the tag its locks are
// channels.
//
// What cannot run in a bubble, and is tested elsewhere: ClickHouse itself (another
// process, sockets; deploy/storage), NVML (cgo; collector/nvml), Slack (sockets;
// sink/notify), real brokers, and what a disk does.
package simulation

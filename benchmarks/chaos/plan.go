package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A kind is what is done to somebody.
type kind string

const (
	kill      kind = "kill"     // kill -9, and started again
	killBusy  kind = "killtxn"  // the same, while its transaction is open
	freeze    kind = "freeze"   // SIGSTOP for longer than the group waits, then SIGCONT: a zombie
	cut       kind = "cut"      // the link is down, connections are reset
	resetOnce kind = "reset"    // connections are reset, and may be made again at once
	hold      kind = "hold"     // nothing passes the link and nobody is told
	delay     kind = "delay"    // each direction takes longer
	throttle  kind = "throttle" // the link is slow
	strand    kind = "strand"   // the link is down until all that is left lies in the spool; then kill -9
	maroon    kind = "maroon"   // the same, but it is asked to stop
)

// Who it is done to: processes, and the links between two of them.
const (
	collector  = "collector"
	agentStage = "agent" // a collector with a spool
	one        = "one"   // processors
	two        = "two"
	sinkOne    = "sink1"
	sinkTwo    = "sink2"
	clickHouse = "clickhouse"
	kafkaNode  = "kafka"
	arrow      = ">" // one>kafka
)

// A fault is one thing that goes wrong.
type fault struct {
	at     time.Duration // since the first event was published
	kind   kind
	target string
	length time.Duration // until it is mended; 0 where that is at once
	amount int           // delay: milliseconds of each direction; throttle: bytes a second
}

func (f fault) String() string {
	text := fmt.Sprintf("%5.1f s  %-8s %s", f.at.Seconds(), f.kind, f.target)
	if f.length > 0 {
		text += fmt.Sprintf(" for %.1f s", f.length.Seconds())
	}
	switch f.kind {
	case delay:
		text += fmt.Sprintf(", %d ms each way", f.amount)
	case throttle:
		text += fmt.Sprintf(", %d KB/s", f.amount/1000)
	}
	return text
}

const (
	// trouble is the time in which faults begin.
	trouble = 14 * time.Second
	// forgotten is longer than the session timeout of the pipeline's groups (10 s).
	forgotten = 11 * time.Second
)

// plan draws the faults of a seed, in the order of their beginning. Each run kills
// both processors, one at least in a transaction, the sinks and a collector, strands
// the agent if there is one, and cuts or bends some links; in some a process freezes,
// or what all stand on is killed.
func plan(seed uint64, s settings) []fault {
	draw := rand.New(rand.NewPCG(seed, 0xfa017))
	first, other := one, two
	if draw.IntN(2) == 0 {
		first, other = two, one
	}
	faults := []fault{
		{at: within(draw, trouble), kind: killBusy, target: first},
		{at: within(draw, trouble), kind: pick(draw, kill, killBusy), target: other},
		{at: within(draw, trouble), kind: kill, target: collector},
	}
	for _, sink := range s.storers() {
		faults = append(faults, fault{at: within(draw, trouble), kind: kill, target: sink})
	}
	still := append(s.storers(), other, collector) // not the first: who stands still opens no transaction to be killed in
	if s.spool {
		still = append(still, agentStage)
		faults = append(faults, fault{at: within(draw, trouble/2), kind: pick(draw, strand, maroon), target: agentStage})
		if draw.IntN(2) == 0 {
			faults = append(faults, fault{at: within(draw, trouble), kind: kill, target: agentStage})
		}
	}
	if draw.IntN(2) == 0 {
		faults = append(faults, fault{at: within(draw, trouble), kind: kill, target: pick(draw, one, two)})
	}
	for range 3 + draw.IntN(3) {
		faults = append(faults, bend(draw, s))
	}
	if draw.IntN(2) == 0 {
		faults = append(faults, fault{at: within(draw, trouble/3), kind: freeze, target: pick(draw, still...), length: forgotten + within(draw, 2*time.Second)})
	}
	if draw.IntN(3) == 0 {
		faults = append(faults, fault{at: within(draw, trouble), kind: kill, target: clickHouse})
	}
	if draw.IntN(3) == 0 {
		faults = append(faults, fault{at: within(draw, trouble/2), kind: kill, target: kafkaNode})
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return int(a.at - b.at) })
	return faults
}

// bend draws what happens to a link.
func bend(draw *rand.Rand, s settings) fault {
	f := fault{at: within(draw, trouble), kind: pick(draw, cut, resetOnce, hold, delay, throttle), target: pick(draw, s.links()...)}
	switch f.kind {
	case resetOnce:
		return f
	case delay:
		f.amount = 20 + draw.IntN(180)
	case throttle:
		f.amount = 50_000 + draw.IntN(400_000)
	}
	f.length = 500*time.Millisecond + within(draw, 4*time.Second)
	return f
}

// within draws a time in [0, end) in whole tenths of a second.
func within(draw *rand.Rand, end time.Duration) time.Duration {
	const step = 100 * time.Millisecond
	return time.Duration(draw.Int64N(int64(end/step))) * step
}

func pick[T any](draw *rand.Rand, from ...T) T { return from[draw.IntN(len(from))] }

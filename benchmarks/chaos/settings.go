package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// settings are what the pipeline of a seed keeps on disk, and how many sinks share
// the work: with and without each, a killed process has to be followed by one that
// makes the same ledger.
type settings struct {
	sinks      int           // of one group
	hot        time.Duration // processors have archives (state.dir), and hold this much in memory; 0 = they hold everything
	spool      bool          // one of the collectors is an agent with a spool
	quarantine bool          // processors and sinks note what they read
}

// settingsOf draws the settings of a seed.
func settingsOf(seed uint64) settings {
	draw := rand.New(rand.NewPCG(seed, 0x5e7))
	return settings{
		sinks:      pick(draw, 1, 2, 2),
		hot:        pick(draw, 0, 10*time.Minute, 30*time.Minute),
		spool:      pick(draw, false, true, true),
		quarantine: pick(draw, false, true),
	}
}

func (s settings) String() string {
	list := []string{fmt.Sprintf("sinks %d", s.sinks)}
	if s.hot > 0 {
		list = append(list, fmt.Sprintf("archive from %.0f min", s.hot.Minutes()))
	}
	if s.spool {
		list = append(list, "spool")
	}
	if s.quarantine {
		list = append(list, "quarantine")
	}
	return strings.Join(list, ", ")
}

// storers are the names of the sinks.
func (s settings) storers() []string { return []string{sinkOne, sinkTwo}[:s.sinks] }

// links are all that a proxy stands in.
func (s settings) links() []string {
	list := []string{collector + arrow + kafkaNode, one + arrow + kafkaNode, two + arrow + kafkaNode}
	if s.spool {
		list = append(list, agentStage+arrow+kafkaNode)
	}
	for _, sink := range s.storers() {
		list = append(list, sink+arrow+kafkaNode, sink+arrow+clickHouse)
	}
	return list
}

package demo

import "time"

// A Model is everything that the view shows.
type Model struct {
	Source  string        // what is collected, in words
	Phase   string        // what the demo is doing, in a word or two
	Elapsed time.Duration // since the start
	For     time.Duration // how long it goes on, 0 = until it is stopped
	Speed   float64       // event time per time
	Doors   []Door        // what can be opened from outside
	Try     []string      // commands for another terminal
	Health  Health
	Ledger  Ledger
	First   time.Duration // from the start until there was money, 0 = not yet
	Slack   []string      // messages as they would be sent, oldest first; nil = they are sent
	Warning string        // the last thing that a stage logged, empty = nothing
}

// A Door is a port of what is embedded.
type Door struct{ Name, Address string }

// Health says how the pipeline keeps up.
type Health struct {
	SamplesPerSecond float64
	Published        int64         // rows that the broker has
	Facts            int64         // cost facts written
	Lag              time.Duration // event time from the source to the ledger's horizon
	DeadLetters      int64
}

// A Ledger is what ClickHouse answered, all of it at one time.
type Ledger struct {
	At       time.Time // end of the newest fact, event time; zero = there is none
	GPUs     uint64    // with a fact in the newest windows
	Currency string    // of the money, the one with the greatest total
	Others   int       // how many other currencies there are
	States   []State   // in the order of the enum
	Total    Nano
	Wasted   Nano
	Idle     []Idle    // open findings, the most money first
	Findings []Finding // newest first, no more than a few hundred
	Opened   uint64    // findings
	Alerts   uint64    // of them, that became alerts
	Resolved uint64    // of them, that are over
	Restated uint64
}

// A State is what GPUs in one state come to.
type State struct {
	Name    string
	GPUs    float64 // mean over the newest windows
	PerHour Nano    // now
	Cost    Nano    // so far
}

// An Idle is an allocation that does nothing.
type Idle struct {
	Allocation, User, Team, Node string
	GPUs                         []string
	Severity                     string
	Since                        time.Time
	Burnt, PerHour               Nano
	Currency                     string
}

// A Finding is a revision of a finding as news.
type Finding struct {
	ID, Allocation, User, Team string
	News                       string // opened, alert, resolved
	At                         time.Time
	Burnt, PerHour             Nano
	Currency                   string
}

package meter

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// Stats counts what a meter has done since it started. What a transaction did
// counts once it is committed; rows in count when they are decoded, again when
// they are read again after an abort.
type Stats struct {
	in map[string]*atomic.Int64 // by topic; the keys are fixed

	cells, costRows, activity, transactions, aborts, recoveries atomic.Int64
	recoveryTime                                                atomic.Int64 // ns

	mu      sync.Mutex
	letters map[string]int64 // by reason
}

// A Summary is the Stats at one instant.
type Summary struct {
	Rows         map[string]int64 // rows read, by stream
	Cells        int64            // cells published
	CostRows     int64            // their rows
	Activity     int64            // rows of activity, watermarks among them
	Transactions int64            // committed
	Aborts       int64            // transactions aborted
	Recoveries   int64            // engines made anew from what was committed
	RecoveryTime time.Duration    // spent on that
	DeadLetters  map[string]int64 // rows that they stand for, by reason
}

func newStats() *Stats {
	s := &Stats{in: make(map[string]*atomic.Int64), letters: make(map[string]int64)}
	for _, stream := range append([]string{schemas.StreamSamples, schemas.StreamProcesses}, inStreams()...) {
		s.in[schemas.Prefix+stream] = new(atomic.Int64)
	}
	return s
}

// inStreams are the reference streams whose rows are worth counting.
func inStreams() []string {
	all := refStreams()
	return all[:refTicks]
}

func (s *Stats) rows(topic string) *atomic.Int64 { return s.in[topic] }

// A tally is what the open transaction does.
type tally struct {
	cells, costRows, activity int64
	letters                   map[string]int64
}

func (s *Stats) committed(t *tally) {
	s.transactions.Add(1)
	s.cells.Add(t.cells)
	s.costRows.Add(t.costRows)
	s.activity.Add(t.activity)
	s.mu.Lock()
	defer s.mu.Unlock()
	for reason, n := range t.letters {
		s.letters[reason] += n
	}
}

// told counts a letter that went outside of a transaction.
func (s *Stats) told(l schemas.DeadLetter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters[l.Reason] += l.Count
}

func (s *Stats) recovered(engines int, took time.Duration) {
	s.recoveries.Add(int64(engines))
	s.recoveryTime.Add(int64(took))
}

func (s *Stats) summary() Summary {
	rows := make(map[string]int64, len(s.in))
	for topic, n := range s.in {
		rows[streamOf(topic)] = n.Load()
	}
	return Summary{
		Rows: rows, Cells: s.cells.Load(), CostRows: s.costRows.Load(), Activity: s.activity.Load(), Transactions: s.transactions.Load(), Aborts: s.aborts.Load(),
		Recoveries: s.recoveries.Load(), RecoveryTime: time.Duration(s.recoveryTime.Load()), DeadLetters: s.lettersByReason(),
	}
}

func (s *Stats) lettersByReason() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.letters)
}

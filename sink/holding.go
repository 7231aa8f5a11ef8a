package sink

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// holdings are the partitions that this member of the group has.
type holdings struct {
	mu  sync.Mutex
	all map[string]map[int32]*holding
}

// A holding is one of them.
type holding struct {
	from int64            // where this member began to read it, -1 = not yet
	next int64            // next record that it will read, -1 = not yet
	owed *kgo.EpochOffset // what is stored and not committed
}

func (h *holdings) add(assigned map[string][]int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[string]map[int32]*holding{}
	}
	for topic, numbers := range assigned {
		if h.all[topic] == nil {
			h.all[topic] = map[int32]*holding{}
		}
		for _, n := range numbers {
			h.all[topic][n] = &holding{from: -1, next: -1}
		}
	}
}

// remove forgets partitions and what is owed of them: another member has them
// by now, and a late commit would set its offset back.
func (h *holdings) remove(revoked map[string][]int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for topic, numbers := range revoked {
		for _, n := range numbers {
			delete(h.all[topic], n)
		}
	}
}

// begin says where the reading of a partition begins.
func (h *holdings) begin(topic string, n int32, from int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.all[topic][n]; p != nil {
		*p = holding{from: from, next: from}
	}
}

// read says that records up to next were read, and returns which was due
// before, -1 where that is not known.
func (h *holdings) read(topic string, n int32, next int64) (due int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.all[topic][n]
	if p == nil {
		return -1
	}
	due, p.next = p.next, next
	return due
}

// owe takes what is stored now. It leaves out partitions of others, and what
// this member read before it lost a partition and got it back further on.
func (h *holdings) owe(stored offsets) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for topic, numbers := range stored {
		for n, at := range numbers {
			if p := h.all[topic][n]; p != nil && at.Offset > p.from {
				p.owed = &at
			}
		}
	}
}

// owed is what is stored and not committed.
func (h *holdings) owed() offsets {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := offsets{}
	for topic, numbers := range h.all {
		for n, p := range numbers {
			if p.owed == nil {
				continue
			}
			if out[topic] == nil {
				out[topic] = map[int32]kgo.EpochOffset{}
			}
			out[topic][n] = *p.owed
		}
	}
	return out
}

// paid says that offsets are committed.
func (h *holdings) paid(committed offsets) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for topic, numbers := range committed {
		for n, at := range numbers {
			if p := h.all[topic][n]; p != nil && p.owed != nil && *p.owed == at {
				p.owed = nil
			}
		}
	}
}

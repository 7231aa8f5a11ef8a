package engine

import (
	"strings"

	"github.com/cespare/xxhash/v2"
)

// A text is a string of this engine by number. 0 is the empty string. Facts are
// compared and written by number; nothing on the hot path touches bytes. Numbers
// differ from engine to engine, so that a hash that outlives one is made of sums.
type text uint32

type texts struct {
	ids  map[string]text
	all  []string
	sums []uint64 // hash of each
	held []int32  // how often each is held; pinned = somebody keeps it for good
	free []text
}

const pinned = -1

func newTexts() texts {
	return texts{ids: map[string]text{"": 0}, all: []string{""}, sums: []uint64{xxhash.Sum64String("")}, held: []int32{pinned}}
}

// sum hashes texts, in order.
func (t *texts) sum(of ...text) uint64 {
	h := uint64(len(of))
	for _, id := range of {
		h = mix(h, t.sums[id])
	}
	return h
}

// of numbers s for good and keeps a copy of it.
func (t *texts) of(s string) text {
	id, ok := t.ids[s]
	if !ok {
		id = t.number(s)
	}
	t.held[id] = pinned
	return id
}

// hold numbers s until it is dropped as often as it was held.
func (t *texts) hold(s string) text {
	id, ok := t.ids[s]
	if !ok {
		id = t.number(s)
	}
	if t.held[id] != pinned {
		t.held[id]++
	}
	return id
}

// drop ends what hold began. A number that nobody holds is given to another text:
// nothing that reads it may outlive the drop.
func (t *texts) drop(id text) {
	if t.held[id] == pinned {
		return
	}
	if t.held[id]--; t.held[id] == 0 {
		delete(t.ids, t.all[id])
		t.all[id] = ""
		t.free = append(t.free, id)
	}
}

func (t *texts) number(s string) text {
	s = strings.Clone(s)
	id := text(len(t.all))
	if n := len(t.free); n > 0 {
		id, t.free = t.free[n-1], t.free[:n-1]
		t.all[id], t.sums[id] = s, xxhash.Sum64String(s)
	} else {
		t.all, t.sums, t.held = append(t.all, s), append(t.sums, xxhash.Sum64String(s)), append(t.held, 0)
	}
	t.ids[s] = id
	return id
}

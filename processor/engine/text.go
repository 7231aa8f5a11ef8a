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
}

func newTexts() texts {
	return texts{ids: map[string]text{"": 0}, all: []string{""}, sums: []uint64{xxhash.Sum64String("")}}
}

// sum hashes texts, in order.
func (t *texts) sum(of ...text) uint64 {
	h := uint64(len(of))
	for _, id := range of {
		h = mix(h, t.sums[id])
	}
	return h
}

// of numbers s and keeps a copy of it.
func (t *texts) of(s string) text {
	if id, ok := t.ids[s]; ok {
		return id
	}
	id := text(len(t.all))
	s = strings.Clone(s)
	t.ids[s], t.all, t.sums = id, append(t.all, s), append(t.sums, xxhash.Sum64String(s))
	return id
}

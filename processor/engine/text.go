package engine

import "strings"

// A text is a string of this engine by number. 0 is the empty string. Facts are
// compared, hashed and written by number; nothing on the hot path touches bytes.
type text uint32

type texts struct {
	ids map[string]text
	all []string
}

func newTexts() texts { return texts{ids: map[string]text{"": 0}, all: []string{""}} }

// of numbers s and keeps a copy of it.
func (t *texts) of(s string) text {
	if id, ok := t.ids[s]; ok {
		return id
	}
	id := text(len(t.all))
	s = strings.Clone(s)
	t.ids[s], t.all = id, append(t.all, s)
	return id
}

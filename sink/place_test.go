package sink

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestWhereAPartitionIsReadOn(t *testing.T) {
	for name, c := range map[string]struct {
		place
		from    int64
		kind    string // of the loss, "" for none
		records int64
		final   bool
	}{
		"never read":                     {place{committed: -1, id: "a", start: 3, end: 9}, 3, "", 0, false},
		"where it was left":              {place{committed: 5, of: "a", id: "a", start: 3, end: 9}, 5, "", 0, false},
		"all was read":                   {place{committed: 9, of: "a", id: "a", start: 3, end: 9}, 9, "", 0, false},
		"all was read and has expired":   {place{committed: 9, of: "a", id: "a", start: 9, end: 9}, 9, "", 0, false},
		"retention passed it":            {place{committed: 2, of: "a", id: "a", start: 3, end: 9}, 3, expired, 1, false},
		"made again, shorter":            {place{committed: 5, of: "a", id: "b", start: 0, end: 2}, 0, recreated, 0, false},
		"made again, longer":             {place{committed: 5, of: "a", id: "b", start: 0, end: 9}, 0, recreated, 0, false},
		"by a sink that wrote no ids":    {place{committed: 5, id: "b", start: 0, end: 9}, 5, "", 0, false},
		"cut, of no version":             {place{topic: "gpumeter.samples", committed: 5, of: "a", id: "a", start: 1, end: 4}, 1, cut, 1, false},
		"cut, where offsets are version": {place{topic: "gpumeter.cost", committed: 5, of: "a", id: "a", start: 0, end: 4}, 0, cut, 1, true},
		"brokers without ids":            {place{committed: 5, of: "a", start: 0, end: 9}, 5, "", 0, false},
	} {
		from, lost := c.resume()
		switch {
		case from != c.from:
			t.Errorf("%s: from %d, want %d", name, from, c.from)
		case lost == nil && c.kind != "", lost != nil && (lost.kind != c.kind || lost.records != c.records || lost.final() != c.final):
			t.Errorf("%s: %+v, want %s of %d, final %v", name, lost, c.kind, c.records, c.final)
		case c.final && !strings.Contains(lost.Error(), "delete the topic"):
			t.Errorf("%s: no fix in %q", name, lost)
		}
	}
}

func at(offset int64) kgo.EpochOffset { return kgo.EpochOffset{Offset: offset} }

func TestOnlyOwnPartitionsAreOwed(t *testing.T) {
	var h holdings
	h.add(map[string][]int32{"a": {1, 2}, "b": {1}})
	h.begin("a", 1, 3)
	h.remove(map[string][]int32{"a": {2}, "unknown": {1}})
	h.owe(offsets{"a": {1: at(5), 2: at(5)}, "b": {1: at(5)}, "c": {1: at(5)}})
	owed := h.owed()
	if len(owed) != 2 || len(owed["a"]) != 1 || owed["a"][1] != at(5) || owed["b"][1] != at(5) {
		t.Errorf("owes %v", owed)
	}
	h.owe(offsets{"a": {1: at(7)}})
	h.paid(owed) // the commit of 5 does not pay for 7
	if owed := h.owed(); len(owed) != 1 || owed["a"][1] != at(7) {
		t.Errorf("owes %v", owed)
	}
}

// A batch that was read before a partition was lost and came back further on
// must not set its offset back.
func TestWhatOthersStoredMeanwhileIsNotSetBack(t *testing.T) {
	var h holdings
	mine := map[string][]int32{"a": {1}}
	h.add(mine)
	h.begin("a", 1, 0)
	h.remove(mine)
	h.add(mine)
	h.begin("a", 1, 50)
	h.owe(offsets{"a": {1: at(40)}})
	if owed := h.owed(); len(owed) != 0 {
		t.Errorf("owes %v", owed)
	}
}

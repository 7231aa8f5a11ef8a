package sink

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

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

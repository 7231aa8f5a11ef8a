package engine

import (
	"reflect"
	"testing"
	"testing/quick"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// Events come back as they were, field by field: one that the code forgets is seen
// here. No part of the bytes passes for the whole.
func TestEventsComeBack(t *testing.T) {
	same := func(a, b schemas.Allocation) bool {
		b.Allocation = a.Allocation
		for _, x := range []*schemas.Allocation{&a, &b} {
			if len(x.GPUs) == 0 {
				x.GPUs = nil
			}
			if len(x.Command) == 0 {
				x.Command = nil
			}
			if len(x.Labels) == 0 {
				x.Labels = nil
			}
		}
		tx := newTexts()
		code := appendEvents(nil, []told{{Allocation: a}, {Allocation: b}})
		got, err := eventsOf(code, a.Allocation, &tx)
		if err != nil || !reflect.DeepEqual(got, []told{{Allocation: a}, {Allocation: b}}) {
			t.Logf("%v\n got %+v\nwant %+v %+v", err, got, a, b)
			return false
		}
		for n := range code {
			if _, err := eventsOf(code[:n], a.Allocation, &tx); err == nil {
				t.Logf("%d of %d bytes passed for all", n, len(code))
				return false
			}
		}
		return true
	}
	if err := quick.Check(same, &quick.Config{MaxCount: 100}); err != nil {
		t.Error(err)
	}
}

// Chunks come back as they were, and no part of one passes for it.
func TestChunksComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tx := newTexts()
		list := make([]sample, rapid.IntRange(1, 40).Draw(t, "samples"))
		few := func(name string) uint64 {
			return rapid.SampledFrom([]uint64{0, 1, 1000, 1 << 31, schemas.Absent64}).Draw(t, name)
		}
		for i := range list {
			list[i] = sample{
				ts: 1_780_000_000_000 + int64(i)*rapid.Int64Range(1, 100_000).Draw(t, "ts"), mem: few("mem"), memTotal: few("total"), energy: few("energy"),
				interval: uint32(few("interval")), util: uint32(few("util")), sm: uint32(few("sm")), tensor: uint32(few("tensor")), dram: uint32(few("dram")),
				power: uint32(few("power")), temp: int16(few("temp")), model: tx.of(rapid.SampledFrom([]string{"", "H100", "A100"}).Draw(t, "model")),
			}
		}
		var c chunkCoder
		code := append([]byte{}, c.encode(list, &tx)...)
		got, err := c.decode(nil, code, &tx)
		if err != nil || !reflect.DeepEqual(got, list) {
			t.Fatalf("%v\n got %+v\nwant %+v", err, got, list)
		}
		for n := range code {
			if _, err := c.decode(nil, code[:n], &tx); err == nil {
				t.Fatalf("%d of %d bytes passed for all", n, len(code))
			}
		}
	})
}

// A text that nobody holds gives its number away; one that is kept for good does not.
func TestTexts(t *testing.T) {
	tx := newTexts()
	a, b := tx.hold("a"), tx.hold("b")
	if tx.hold("a") != a || tx.of("b") != b {
		t.Fatal("a text has two numbers")
	}
	tx.drop(a)
	if tx.hold("c") == a {
		t.Fatal("a text that is held lost its number")
	}
	tx.drop(b)
	if tx.drop(a); tx.hold("d") != a || tx.all[a] != "d" || tx.sums[a] == tx.sums[b] {
		t.Errorf("the number of a dropped text was not used again: %v", tx.all)
	}
	if tx.of("b") != b {
		t.Error("a text kept for good was dropped")
	}
}

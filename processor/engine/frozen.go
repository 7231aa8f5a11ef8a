package engine

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// An allocation that ended in cold time is frozen: its events are in the archive and
// nothing of it is in memory. For each GPU and chunk of time that it held there is a
// key that names it, a hint: it may be there without need, never missing. A late
// event of it, or a mark in a chunk that it held, thaws it: it is made of its events
// again, with all its holds, and nothing is marked by that, since it is what it was.
//
// Memory has all holds that reach into the time of a GPU from gpu.base on, which is
// as far back as what a hot sample says may depend on: to its last cold sample.

// freezeSome freezes what has ended in cold time.
func (e *Engine) freezeSome() {
	if e.cfg.Archive == nil {
		return
	}
	cold := floorTo(min(e.final, e.horizon)-e.cfg.Hot, e.chunk)
	for len(e.ended) > 0 && e.ended[0].ts <= cold {
		al := e.ended.pop().alloc
		if al.leaves = false; !e.over(al) {
			continue
		}
		if !e.bygone(al, cold) {
			e.leave(al, cold+e.chunk) // looked at again then
			continue
		}
		e.freeze(al)
	}
	e.forgetFrozen(floorTo(e.horizon-e.cfg.KeepSamples, e.chunk))
}

// leave has al looked at when time before t is cold.
func (e *Engine) leave(al *allocation, t int64) {
	if e.cfg.Archive != nil && !al.leaves {
		al.leaves = true
		e.ended.push(event{t, al})
	}
}

// over tells whether all is known of al that is to be known for now.
func (e *Engine) over(al *allocation) bool {
	return !al.changed && (al.started && al.to != never || al.orphan == orphanTold)
}

// end is the last instant that matters of al.
func (al *allocation) end() int64 {
	last := al.events[len(al.events)-1].TS
	if al.started {
		return max(last, al.to)
	}
	return last
}

// bygone tells whether al ends in cold time on all of its GPUs.
func (e *Engine) bygone(al *allocation, cold int64) bool {
	if al.end() >= cold {
		return false
	}
	for i := range al.holds {
		if h := &al.holds[i]; h.to > h.gpu.base {
			return false
		}
	}
	return true
}

func allocationKey(kind byte, name string) []byte {
	return append(append(make([]byte, 0, 1+len(name)), kind), name...)
}

// freeze moves al into the archive.
func (e *Engine) freeze(al *allocation) {
	e.store(allocationKey(keyFrozen, al.name), appendEvents(binary.AppendVarint(nil, al.end()), al.events))
	e.store(append(appendTime([]byte{keyEnds}, al.end()), al.name...), nil)
	e.remove(allocationKey(keyLive, al.name))
	kept := e.horizon - e.cfg.KeepSamples
	for i := range al.holds {
		h := &al.holds[i]
		for at := floorTo(max(h.from, kept), e.chunk); at < h.to; at += e.chunk {
			e.store(append(e.hintKey(h.gpu, at), al.name...), nil)
		}
		key := h.grip()
		h.gpu.holds = slices.DeleteFunc(h.gpu.holds, func(o hold) bool { return o.is(al, key) })
	}
	delete(e.allocs, al.name)
	e.forgetTexts(al)
}

// remove deletes one key.
func (e *Engine) remove(key []byte) {
	e.fail("deleting", e.cfg.Archive.Delete(key, append(slices.Clone(key), 0)))
}

func (e *Engine) hintKey(g *gpu, at int64) []byte { return appendTime(e.keyOf(keyHint, g), at) }

// thaw makes a frozen allocation of its events; nil where there is none.
func (e *Engine) thaw(name string) *allocation {
	if e.cfg.Archive == nil {
		return nil
	}
	value, err := e.cfg.Archive.Get(allocationKey(keyFrozen, name))
	e.fail("thawing an allocation", err)
	if value == nil {
		return nil
	}
	s := scanner{b: value}
	end := s.varint()
	al := e.allocationOf(name, s.b)
	e.allocs[al.name] = al
	for _, h := range e.derive(al, al.events) {
		h.gpu.holds = append(h.gpu.holds, hold{al, h.slice, h.share, h.from, h.to})
		al.holds = append(al.holds, h)
	}
	if !al.started {
		al.orphan = orphanTold
	}
	e.leave(al, end+1)
	return al
}

// allocationOf makes an allocation of its encoded events, without holds.
func (e *Engine) allocationOf(name string, encoded []byte) *allocation {
	al := e.newAllocation(name)
	var err error
	al.events, err = eventsOf(encoded, al.name, &e.texts)
	if err != nil {
		e.fail("reading the events of "+name, err)
	}
	for i := range al.events {
		al.events[i].json = e.texts.hold(labelsJSON(al.events[i].Labels))
	}
	return al
}

// thawHolders thaws who held g in [from, to).
func (e *Engine) thawHolders(g *gpu, from, to int64) {
	for _, name := range e.hinted(g, from, to) {
		if e.allocs[name] == nil {
			e.thaw(name)
		}
	}
}

// hinted are the names in the hints of g for [from, to), each once.
func (e *Engine) hinted(g *gpu, from, to int64) (names []string) {
	if to = min(to, g.base); from >= to {
		return nil
	}
	prefix := len(e.hintKey(g, 0))
	err := e.cfg.Archive.Scan(e.hintKey(g, floorTo(from, e.chunk)), e.hintKey(g, floorTo(to-1, e.chunk)+1), func(key, _ []byte) error {
		names = append(names, string(key[prefix:]))
		return nil
	})
	e.fail("looking for who held a GPU", err)
	slices.Sort(names)
	return slices.Compact(names)
}

// peek calls f with a frozen allocation, which stays frozen, and its holds.
func (e *Engine) peek(name string, f func(al *allocation, holds []placed)) {
	value, err := e.cfg.Archive.Get(allocationKey(keyFrozen, name))
	e.fail("reading an allocation", err)
	if value == nil {
		return
	}
	s := scanner{b: value}
	s.varint()
	al := e.allocationOf(name, s.b)
	f(al, e.derive(al, al.events))
	e.forgetTexts(al)
}

// forgetFrozen drops what ended before what is kept.
func (e *Engine) forgetFrozen(cut int64) {
	var old []string
	first, last := appendTime([]byte{keyEnds}, forever), appendTime([]byte{keyEnds}, cut)
	err := e.cfg.Archive.Scan(first, last, func(key, _ []byte) error {
		old = append(old, string(key[9:]))
		return nil
	})
	e.fail("looking for old allocations", err)
	if len(old) == 0 {
		return
	}
	for _, name := range old {
		value, err := e.cfg.Archive.Get(allocationKey(keyFrozen, name))
		e.fail("reading an old allocation", err)
		if s := (scanner{b: value}); value != nil && s.varint() < cut && e.allocs[name] == nil {
			e.remove(allocationKey(keyFrozen, name))
		}
	}
	e.fail("deleting", e.cfg.Archive.Delete(first, last))
}

// saveEvents writes the events of allocations that got some.
func (e *Engine) saveEvents() {
	for _, al := range e.unsaved {
		if al.unsaved = false; e.allocs[al.name] == al {
			e.store(allocationKey(keyLive, al.name), appendEvents(nil, al.events))
		}
	}
	clear(e.unsaved)
	e.unsaved = e.unsaved[:0]
}

// loadLive loads the allocations that are not frozen.
func (e *Engine) loadLive() error {
	return e.cfg.Archive.Scan([]byte{keyLive}, []byte{keyLive + 1}, func(key, value []byte) error {
		al := e.allocationOf(string(key[1:]), value)
		if e.failed != nil || len(al.events) == 0 {
			return fmt.Errorf("allocation %q: %w", key[1:], errEvents)
		}
		e.allocs[al.name] = al
		for i := range al.events {
			e.waiting.push(event{al.events[i].TS, al})
		}
		return nil
	})
}

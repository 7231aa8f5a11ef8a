package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gpumeter/gpumeter/schemas/money"
)

// An Archive holds what of an engine's state is not in memory: an ordered map of
// bytes that only this engine changes. What it returns stays valid until the next
// call. Of its errors the first ends the engine's work: see Engine.Err.
type Archive interface {
	// Get returns nil where there is nothing.
	Get(key []byte) ([]byte, error)
	Put(key, value []byte) error
	// Delete removes the keys in [from, to).
	Delete(from, to []byte) error
	// First and Last are the ends of [from, to); the key is nil where it is empty.
	First(from, to []byte) (key, value []byte, err error)
	Last(from, to []byte) (key, value []byte, err error)
	// Scan hands over what is in [from, to), in order. each may not use the archive.
	Scan(from, to []byte, each func(key, value []byte) error) error
}

// What the archive holds, by the first byte of a key.
const (
	keyGPU     = 'g' // node, gpu: its hot and its base
	keySamples = 's' // node, gpu, slice, chunk: its samples, sorted
	keyCells   = 'c' // node, gpu, resource, block: its fingerprints
	keyLive    = 'l' // allocation in memory: its events
	keyFrozen  = 'f' // allocation that is not: its end and its events
	keyHint    = 'h' // node, gpu, chunk, allocation: a frozen one that may have held it then
	keyEnds    = 'e' // end, frozen allocation
	keyPending = 'p' // node, gpu: what of it is to be recomputed
)

// Err is the first error of the archive, nil while it works. An engine whose
// archive has failed publishes nonsense: make another from the same inputs.
func (e *Engine) Err() error { return e.failed }

func (e *Engine) fail(doing string, err error) {
	if err != nil && e.failed == nil {
		e.failed = fmt.Errorf("%s: %w", doing, err)
	}
}

// chunk is how much time lies under one key: an hour, less where less is hot.
func (c *Config) chunk() int64 {
	return max(c.Window, floorTo(min(c.Hot, money.Hour), c.Window))
}

// appendName appends a name so that none is the beginning of another.
func appendName(key []byte, name string) []byte {
	return append(binary.AppendUvarint(key, uint64(len(name))), name...)
}

// appendTime appends an instant, or a number of windows, in the order of time.
func appendTime(key []byte, t int64) []byte {
	return binary.BigEndian.AppendUint64(key, uint64(t)^1<<63)
}

// load makes what the archive has of an engine before: which GPUs are cold, and
// since when.
func (e *Engine) load() error {
	if e.cfg.Archive == nil {
		return nil
	}
	err := e.cfg.Archive.Scan([]byte{keyGPU}, []byte{keyGPU + 1}, func(key, value []byte) error {
		node, key, ok1 := nameOf(key[1:])
		name, _, ok2 := nameOf(key)
		s := scanner{b: value}
		hot, base := s.varint(), s.varint()
		if !ok1 || !ok2 || s.bad || len(s.b) > 0 {
			return errors.New("a GPU is not written as this program writes it")
		}
		g := e.gpu(e.node(node), name)
		g.hot, g.base = hot, base
		return nil
	})
	e.resumed = len(e.gpus) > 0
	if err == nil {
		err = e.loadBacklog()
	}
	if err == nil {
		err = e.loadLive()
	}
	for _, g := range e.gpus {
		for _, s := range g.series {
			e.begin(s)
		}
	}
	if err = errors.Join(err, e.failed); err != nil {
		return fmt.Errorf("loading the archive: %w", err)
	}
	return nil
}

// begin gives a series that memory knows nothing of its last cold sample.
func (e *Engine) begin(s *series) {
	if s.gpu.hot == forever {
		return
	}
	s.last = s.gpu.floor()
	g := s.gpu
	_, value, err := e.cfg.Archive.Last(e.chunkKey(s, forever), e.chunkKey(s, s.gpu.hot))
	e.fail("looking for the last cold sample", err)
	if value != nil {
		e.near = e.decodeChunk(e.near[:0], value)
		e.fill(s, e.near[len(e.near)-1:])
		s.last = g.floor()
		e.uncover(g, s.known)
	}
}

func (e *Engine) keyOf(kind byte, g *gpu, more ...string) []byte {
	key := appendName(append(make([]byte, 0, 96), kind), e.texts.all[g.node.name])
	key = appendName(key, g.name)
	for _, name := range more {
		key = appendName(key, name)
	}
	return key
}

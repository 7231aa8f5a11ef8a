package spool

import (
	"errors"
	"fmt"
)

// errNoRoom is why a record is dropped: what is there is less dispensable.
var errNoRoom = errors.New("the spool is full of what is less dispensable")

// Append takes over a record of rows. An error says that it did not: the record is
// dropped, and counted. It is on the disk after Sync.
func (s *Spool) Append(stream string, rows int, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queue(stream)
	if q == nil {
		return fmt.Errorf("spool: %q is none of its streams", stream)
	}
	h := header{length: uint32(len(data)), seq: q.next, before: uint64(q.counts.Written), rows: uint32(rows), sum: checksum(0, data)}
	q.next++
	q.counts.Written += int64(rows)
	s.moved = true
	err := s.room(q, h.size())
	if err == nil {
		err = s.write(q, h, data)
	}
	if full(err) && s.dropOldest(q) {
		// The disk is full before the spool is: it does with what there is.
		s.fault(err)
		err = s.write(q, h, data)
	}
	if err != nil {
		q.counts.Dropped += int64(rows)
		s.fault(err)
	}
	return err
}

func (s *Spool) queue(stream string) *queue {
	for _, q := range s.queues {
		if q.stream == stream {
			return q
		}
	}
	return nil
}

// room drops what is oldest until size more bytes fit.
func (s *Spool) room(q *queue, size int64) error {
	for s.bytes+size > s.limit {
		if !s.dropOldest(q) {
			return errNoRoom
		}
	}
	return nil
}

// dropOldest drops a segment for a record of to: the oldest of the most
// dispensable stream, but of none that is less dispensable than to.
func (s *Spool) dropOldest(to *queue) bool {
	for _, q := range s.queues {
		if q.rank > to.rank {
			return false
		}
		i := 0
		if q.lent {
			i = 1
		}
		if i >= len(q.segments) || q == to && q.segments[i] == q.active() {
			continue
		}
		dropped := q.segments[i]
		q.counts.Dropped += dropped.rows
		s.bytes -= dropped.size
		s.moved = true
		s.fault(q.remove(s.disk, i))
		return true
	}
	return false
}

// write puts a record behind the others of its stream, whole or not at all.
func (s *Spool) write(q *queue, h header, data []byte) error {
	a := q.active()
	if a != nil && a.size+h.size() > s.segment {
		s.seal(q)
		a = nil
	}
	if a == nil {
		a = &segment{name: segmentName(q.stream, h.seq, int64(h.before)), first: h.seq}
		out, err := s.disk.create(a.name)
		if err != nil {
			return err
		}
		a.out = out
		q.segments = append(q.segments, a)
	}
	s.buffer = append(h.append(s.buffer[:0], q.salt), data...)
	a.dirty = true
	if _, err := a.out.Write(s.buffer); err != nil {
		s.revert(q)
		return err
	}
	a.size += h.size()
	a.rows += int64(h.rows)
	s.bytes += h.size()
	return nil
}

// revert takes back a write that failed half way, and writes no more to that
// segment: should the disk refuse that too, the reader passes what is there.
func (s *Spool) revert(q *queue) {
	a := q.active()
	if a.size == 0 {
		s.fault(q.remove(s.disk, len(q.segments)-1))
		return
	}
	s.fault(a.out.Truncate(a.size))
	s.seal(q)
}

// seal ends the segment that is written to.
func (s *Spool) seal(q *queue) {
	a := q.active()
	if a == nil {
		return
	}
	if a.dirty {
		s.fault(a.out.Sync())
	}
	s.fault(a.out.Close())
	a.out, a.dirty = nil, false
}

package spool

import (
	"errors"
	"io"
)

// A queue is the segments of one stream, oldest first. The last one may be open
// for writing, the first one is being read.
type queue struct {
	stream   string
	rank     int // the least is the most dispensable
	salt     uint32
	segments []*segment
	counts   Counts
	left     Counts // at the start, before damage was looked for
	next     uint64 // seq of the next record
	position uint64 // seq from which on records are not taken
	in       file   // of the first segment; nil until it is read
	offset   int64  // in it, of what was not taken
	lent     bool   // Next has given records of the first segment
}

// active is the segment that is written to, or nil.
func (q *queue) active() *segment {
	if n := len(q.segments); n > 0 && q.segments[n-1].out != nil {
		return q.segments[n-1]
	}
	return nil
}

// load takes over a segment that an earlier run has left. It gives the number of
// rows that were ever written when its last record was.
func (q *queue) load(d disk, name string, first uint64) (end int64, err error) {
	in, err := d.open(name)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	s := &segment{name: name, first: first}
	if s.size, err = in.size(); err != nil {
		return 0, err
	}
	offset := int64(-1)
	c := cursor{in: in, size: s.size, salt: q.salt, next: first}
	for {
		h, err := c.header()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return end, err
		}
		if h.seq >= q.position {
			if offset < 0 {
				offset = c.at
			}
			s.rows += int64(h.rows)
		}
		end = h.end()
		c.pass(h)
	}
	end = max(end, c.cut.end())
	q.next = max(q.next, c.next)
	if len(q.segments) == 0 {
		q.offset = max(offset, 0)
	}
	q.segments = append(q.segments, s)
	return end, nil
}

// A Chunk is some records of one stream, oldest first.
type Chunk struct {
	Stream  string
	Records []Record
	end     int64  // offset behind the last
	last    uint64 // its seq
}

// A Record is what was handed to Append.
type Record struct {
	Rows int
	Data []byte
}

// Rows of all records of c.
func (c Chunk) Rows() (n int64) {
	for _, r := range c.Records {
		n += int64(r.Rows)
	}
	return n
}

// read gives records of the first segment from the position on: at least one,
// and no more than limit bytes beyond that; none when the rest of the segment
// has none. Damage before the first is passed for good, and counted; damage
// behind the first ends the chunk.
func (q *queue) read(d disk, limit int) (Chunk, error) {
	s, chunk := q.segments[0], Chunk{Stream: q.stream}
	if q.in == nil {
		var err error
		if q.in, err = d.open(s.name); err != nil {
			q.in = nil
			return chunk, err
		}
	}
	c := cursor{in: q.in, size: s.size, salt: q.salt, at: q.offset, next: q.position}
	for bytes := 0; ; {
		h, err := c.header()
		if errors.Is(err, io.EOF) {
			return chunk, nil
		}
		if err != nil {
			return chunk, err
		}
		if bytes += int(h.length); len(chunk.Records) > 0 && (bytes > limit || c.at != chunk.end) {
			return chunk, nil
		}
		data, ok, err := c.record(h)
		switch {
		case err != nil:
			return chunk, err
		case !ok && len(chunk.Records) > 0:
			return chunk, nil
		case !ok:
			s.rows -= int64(h.rows)
			q.counts.Damaged += int64(h.rows)
			c.pass(h)
			q.offset, q.position = c.at, c.next
			continue
		}
		c.pass(h)
		chunk.Records = append(chunk.Records, Record{int(h.rows), data})
		chunk.end, chunk.last = c.at, h.seq
	}
}

// remove takes a segment out of the queue. What it holds is the caller's to count.
func (q *queue) remove(d disk, i int) error {
	s := q.segments[i]
	var err error
	if s.out != nil {
		err = s.out.Close()
	}
	if i == 0 {
		if q.in != nil {
			err = errors.Join(err, q.in.Close())
		}
		q.in, q.offset, q.lent = nil, 0, false
	}
	q.segments = append(q.segments[:i], q.segments[i+1:]...)
	return errors.Join(err, d.remove(s.name))
}

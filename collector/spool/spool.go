package spool

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
)

// A Spool is an open directory. Its methods may be called from several
// goroutines; Next and Done are for one.
type Spool struct {
	disk    disk
	lock    *os.File // nil in tests of other disks
	limit   int64    // bytes of all segments
	segment int64    // bytes of one

	mu     sync.Mutex
	queues []*queue // the most dispensable first
	bytes  int64    // of all segments
	moved  bool     // the position file is older than the counts
	buffer []byte
	faults Faults
}

// Faults says what the disk refused: nothing of it stops the spool.
type Faults struct {
	Count int64
	Last  error
}

// Open opens the directory of cfg, or makes it, and takes over what an earlier
// run has left. Streams are all that may be there, the most dispensable first.
// An error is of the directory as a whole: damage within files is none.
func Open(cfg Config, streams []string) (*Spool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	held, err := lock(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s, err := open(folder{cfg.Dir}, cfg.Bytes, min(cfg.Bytes/segments, maxSegment), streams)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("spool.dir: %w", err), held.Close())
	}
	s.lock = held
	return s, nil
}

func open(d disk, limit, segment int64, streams []string) (*Spool, error) {
	s := &Spool{disk: d, limit: limit, segment: segment}
	names, err := d.list()
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	places, found, err := readPlaces(d, names)
	s.fault(err)
	if found && places == nil {
		s.fault(errors.New("the file position is damaged: everything in the spool is sent again"))
	}
	byStream := map[string][]string{}
	for _, name := range names {
		if stream, _, _, ok := parseName(name); ok {
			byStream[stream] = append(byStream[stream], name)
		}
	}
	for rank, stream := range streams {
		s.queues = append(s.queues, s.adopt(stream, rank, places, byStream[stream]))
		delete(byStream, stream)
	}
	for _, unknown := range byStream {
		return nil, fmt.Errorf("%s is of no stream that this version knows: move it away", unknown[0])
	}
	return s, nil
}

// adopt makes the queue of a stream from its segments, by name, which is by age.
func (s *Spool) adopt(stream string, rank int, places map[string]place, names []string) *queue {
	was, known := places[stream]
	q := &queue{stream: stream, rank: rank, salt: checksum(0, []byte(stream)), counts: was.Counts, next: max(was.Next, 1), position: was.Position}
	if !known && len(names) > 0 {
		// What became of the rows before is not known, only how many there were.
		_, _, before, _ := parseName(names[0])
		q.counts = Counts{Written: before, Taken: before}
	}
	held := int64(0)
	for _, name := range names {
		_, first, _, _ := parseName(name)
		n := len(q.segments)
		end, err := q.load(s.disk, name, first)
		s.fault(err)
		q.counts.Written = max(q.counts.Written, end)
		if len(q.segments) == n { // it cannot be opened or read
			continue
		}
		last := q.segments[n]
		if last.rows == 0 {
			s.fault(q.remove(s.disk, n))
			continue
		}
		held += last.rows
		s.bytes += last.size
	}
	q.left = q.counts
	q.counts.Damaged = max(0, q.counts.Damaged+q.counts.Held()-held) // what was given up may be there after all
	s.moved = s.moved || q.counts != was.Counts
	return q
}

// fault keeps what is no reason to stop.
func (s *Spool) fault(err error) {
	if err != nil {
		s.faults.Count++
		s.faults.Last = err
	}
}

// Faults says what the disk refused so far.
func (s *Spool) Faults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults
}

// Counts of each stream.
func (s *Spool) Counts() map[string]Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]Counts, len(s.queues))
	for _, q := range s.queues {
		all[q.stream] = q.counts
	}
	return all
}

// Left is what the counts of each stream were at the start, before damage was
// looked for: what the run before had left.
func (s *Spool) Left() map[string]Counts {
	all := make(map[string]Counts, len(s.queues))
	for _, q := range s.queues {
		all[q.stream] = q.left
	}
	return all
}

// Bytes on the disk.
func (s *Spool) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

// Empty tells that nothing is held.
func (s *Spool) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(s.queues, func(q *queue) bool { return len(q.segments) > 0 })
}

// Next gives the oldest records of the least dispensable stream that has any, at
// least one and about limit bytes at most. They stay in the spool until Done; a
// call before that gives the same ones. An empty chunk says that nothing is held
// that can be read now.
func (s *Spool) Next(limit int) Chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range slices.Backward(s.queues) {
		for len(q.segments) > 0 {
			before := q.counts
			chunk, err := q.read(s.disk, limit)
			s.moved = s.moved || q.counts != before
			s.fault(err)
			if len(chunk.Records) > 0 {
				q.lent = true
				return chunk
			}
			if err != nil && !gone(err) {
				break // perhaps next time
			}
			s.finish(q)
		}
	}
	return Chunk{}
}

// Done says that a chunk is safe elsewhere.
func (s *Spool) Done(c Chunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.queues, func(q *queue) bool { return q.stream == c.Stream })
	q, rows := s.queues[i], c.Rows()
	q.counts.Taken += rows
	q.segments[0].rows -= rows
	q.position, q.offset, q.lent = c.last+1, c.end, false
	s.moved = true
	if q.offset == q.segments[0].size {
		s.finish(q)
	}
}

// finish removes a first segment that has nothing more to be read. The position
// goes to the disk before: otherwise a crash would send the segment once more.
func (s *Spool) finish(q *queue) {
	first := q.segments[0]
	q.counts.Damaged += first.rows
	s.moved = true
	s.savePosition()
	s.bytes -= first.size
	s.fault(q.remove(s.disk, 0))
}

// Sync forces everything to the disk that was appended and taken. What it cannot
// is a fault.
func (s *Spool) Sync() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		if a := q.active(); a != nil && a.dirty {
			a.dirty = false
			if err := a.out.Sync(); err != nil {
				s.fault(err)
				s.seal(q) // what the system does with the pages that it could not write is its own affair
			}
		}
	}
	s.savePosition()
}

// savePosition writes the position file, and the names of files, when anything
// has changed.
func (s *Spool) savePosition() {
	if !s.moved {
		return
	}
	places := make(map[string]place, len(s.queues))
	for _, q := range s.queues {
		places[q.stream] = place{q.position, q.next, q.counts}
	}
	text, err := encodePlaces(places)
	if err == nil {
		err = errors.Join(s.disk.replace(positionName, text), s.disk.sync())
	}
	s.fault(err)
	s.moved = err != nil
}

// Close forces everything to the disk and lets the directory go.
func (s *Spool) Close() error {
	s.Sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range s.queues {
		s.seal(q)
		if q.in != nil {
			s.fault(q.in.Close())
			q.in = nil
		}
	}
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// Streams that hold something, for a report, in the order of their names.
func (s *Spool) Streams() []string {
	counts := s.Counts()
	maps.DeleteFunc(counts, func(_ string, c Counts) bool { return c.Held() == 0 })
	return slices.Sorted(maps.Keys(counts))
}

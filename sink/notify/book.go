package notify

import (
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// A book knows of every alert what people were told of it. It is a function of
// the records of findings and notices and of the results of deliveries; it
// reads no clock and sends nothing.
type book struct {
	cfg   Config
	parts map[int32]*part
	job   *job // being delivered, nil = none
	sent  map[thread]*tally

	editsAt time.Time // nothing is replaced before: it failed
}

// A part is the book of one partition.
type part struct {
	next   int64 // offset of the next record
	end    int64 // up to here there is a past to catch up with: nothing is told before
	past   int64 // below it, alerts that are over already are not told any more
	open   map[string]*entry
	closed map[string]bool // told to their end

	skipped []schemas.Notice // what is not told because it was the past
}

// An entry is an alert that is not told to its end.
type entry struct {
	finding schemas.Finding // newest revision; Revision 0 = only notices of it were read
	newest  place           // of that revision
	part    int32

	waiting bool  // somebody must be told
	since   place // of the first revision that waits to be told

	told   bool      // its alert was told
	ref    Ref       // where; nowhere where messages cannot be replaced
	digest bool      // among others
	shown  int64     // newest revision told
	edited time.Time // when

	tried   *schemas.Notice // posting without posted: what came of it is not known
	triedAt time.Time
}

// A place is where a revision was read, and when it was appended and read.
type place struct {
	offset         int64
	appended, read time.Time
}

func newBook(cfg Config) *book {
	return &book{cfg: cfg, parts: map[int32]*part{}, sent: map[thread]*tally{}}
}

// take adds an empty partition that is read from next on. Its past ends at end;
// fresh says that nobody has told anything of it yet, so that what is over by
// now is not news.
func (b *book) take(partition int32, next, end int64, fresh bool) {
	p := &part{next: next, end: end, open: map[string]*entry{}, closed: map[string]bool{}}
	if fresh {
		p.past = end
	}
	b.parts[partition] = p
}

// drop forgets a partition that somebody else has now.
func (b *book) drop(partition int32) {
	delete(b.parts, partition)
	if b.job == nil {
		return
	}
	kept := b.job.entries[:0]
	for _, e := range b.job.entries {
		if e.part != partition {
			kept = append(kept, e)
		}
	}
	if b.job.entries = kept; len(kept) == 0 {
		b.job = nil
	}
}

// recall reads a notice of an earlier time; at is when it was appended.
func (b *book) recall(partition int32, n *schemas.Notice, at time.Time) {
	p := b.parts[partition]
	if p == nil || p.closed[n.Finding] {
		return
	}
	e := p.entry(n.Finding, partition)
	if n.State == schemas.NoticePosting {
		e.tried, e.triedAt = n, at
		return
	}
	b.told(e, n, at)
}

// told marks what a notice says that is not posting.
func (b *book) told(e *entry, n *schemas.Notice, at time.Time) {
	if n.What == schemas.NoticeAlert {
		e.told, e.digest = true, n.Members > 1
		e.ref = Ref{Channel: n.Channel, Message: n.Message}
	}
	e.tried, e.shown, e.edited = nil, max(e.shown, n.Revision), at
	e.waiting = e.mustTell()
	if e.waiting {
		e.since = e.newest // what came while the message was on its way
	}
	if n.Status == schemas.StatusResolved {
		e.waiting = false
		b.close(e.part, n.Finding)
	}
}

func (b *book) close(partition int32, finding string) {
	if p := b.parts[partition]; p != nil {
		delete(p.open, finding)
		p.closed[finding] = true
	}
}

func (p *part) entry(finding string, partition int32) *entry {
	e := p.open[finding]
	if e == nil {
		e = &entry{part: partition}
		p.open[finding] = e
	}
	return e
}

// read takes a revision in that was appended at a time and is read now. What is
// no alert is none of our business, and what is older than what is known was
// read before.
func (b *book) read(partition int32, offset int64, f *schemas.Finding, appended, now time.Time) {
	p := b.parts[partition]
	if p == nil || f.Severity != schemas.SeverityAlert || p.closed[f.Finding] {
		return
	}
	e := p.entry(f.Finding, partition)
	if f.Revision <= e.finding.Revision {
		return
	}
	e.finding, e.newest = *f, place{offset, appended, now}
	switch {
	case offset < p.past && !e.told && e.tried == nil && f.Status == schemas.StatusResolved:
		p.skipped = append(p.skipped, schemas.Notice{
			Finding: f.Finding, Revision: f.Revision, Status: f.Status,
			What: schemas.NoticeAlert, State: schemas.NoticeSkipped,
		})
		e.waiting = false
		b.close(partition, f.Finding)
	case !e.waiting && e.mustTell():
		e.waiting, e.since = true, e.newest
	}
}

// at moves the position of a partition, after its records were read.
func (b *book) at(partition int32, next int64) {
	if p := b.parts[partition]; p != nil {
		p.next = max(p.next, next)
	}
}

// mustTell reports whether somebody must be told: of the alert, or of its end.
func (e *entry) mustTell() bool {
	return e.finding.Revision > 0 && (!e.told || e.finding.Status == schemas.StatusResolved)
}

// editable reports whether a message tells of this alert alone and can be
// replaced.
func (e *entry) editable() bool { return e.told && !e.digest && !e.ref.Zero() }

// committable gives the offset up to which everything was told.
func (p *part) committable() int64 {
	at := p.next
	for _, e := range p.open {
		if e.waiting {
			at = min(at, e.since.offset)
		}
	}
	return at
}

// waiting counts the alerts that somebody must be told of.
func (b *book) waiting() int {
	n := 0
	for _, p := range b.parts {
		for _, e := range p.open {
			if e.waiting {
				n++
			}
		}
	}
	return n
}

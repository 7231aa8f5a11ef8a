package notify

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// A job is a message on its way.
type job struct {
	id      string
	what    string
	under   Ref
	entries []*entry // by money
	edit    bool     // replaces the message of its only entry

	recorded bool      // as posting
	unsure   bool      // an attempt may have delivered it
	began    time.Time // the first attempt
	plain    bool
}

// message makes what is told: the newest revisions, whenever it is tried.
func (j *job) message() Message {
	m := Message{ID: j.id, What: j.what, Under: j.under, Plain: j.plain}
	for _, e := range j.entries {
		m.Findings = append(m.Findings, e.finding)
	}
	return m
}

// A thread is where messages of a kind go that are counted together.
type thread struct {
	what  string
	under Ref
}

// A tally counts the messages of a thread.
type tally struct {
	times  []time.Time // within storm.within
	digest time.Time   // the last one that was held back for others to come
}

// plan says what is to be done now, or when to ask again: a zero time is "when
// something new was read". Until all partitions have caught up nothing is said:
// what was raised and is over by then is one message.
func (b *book) plan(now time.Time) (*job, time.Time) {
	if b.job != nil || !b.caughtUp() {
		return b.job, time.Time{}
	}
	entries := b.ordered()
	if b.job = unfinished(entries); b.job != nil {
		return b.job, time.Time{}
	}
	var wake time.Time
	for _, group := range threads(entries) {
		chosen, at := b.choose(group, now)
		if len(chosen) > 0 {
			b.job = newJob(group.thread, chosen)
			return b.job, time.Time{}
		}
		wake = earlier(wake, at)
	}
	j, at := b.edits(entries, now)
	b.job = j
	return j, earlier(wake, at)
}

func (b *book) caughtUp() bool {
	for _, p := range b.parts {
		if p.next < p.end {
			return false
		}
	}
	return true
}

// ordered lists the alerts of which a revision was read, by money.
func (b *book) ordered() []*entry {
	var all []*entry
	for _, p := range b.parts {
		for _, e := range p.open {
			if e.finding.Revision > 0 {
				all = append(all, e)
			}
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return byMoney(&a.finding, &b.finding) })
	return all
}

// byMoney orders by what was burnt, the most first: by currency, the unpriced
// last, then by id.
func byMoney(a, b *schemas.Finding) int {
	if unpriced := cmp.Compare(min(len(b.Currency), 1), min(len(a.Currency), 1)); unpriced != 0 {
		return unpriced
	}
	return cmp.Or(cmp.Compare(a.Currency, b.Currency), cmp.Compare(b.BurntCost, a.BurntCost),
		cmp.Compare(b.CostPerHour, a.CostPerHour), cmp.Compare(a.Finding, b.Finding))
}

// unfinished takes up a message of which an earlier process did not record what
// came of it.
func unfinished(entries []*entry) *job {
	var j *job
	for _, e := range entries {
		switch {
		case e.tried == nil || !e.waiting:
		case j == nil:
			j = &job{
				id: e.tried.Post, what: e.tried.What, entries: []*entry{e},
				recorded: true, unsure: true, began: e.triedAt,
			}
			if j.what == schemas.NoticeResolved {
				j.under = e.ref
			}
		case e.tried.Post == j.id:
			j.entries = append(j.entries, e)
			j.began = earlier(j.began, e.triedAt)
		}
	}
	return j
}

// A group is what waits to be told in one thread.
type group struct {
	thread
	entries []*entry
}

// threads groups what waits for a message of its own: alerts first, then ends
// that no message in place can tell.
func threads(entries []*entry) []group {
	var groups []group
	for _, e := range entries {
		if !e.waiting || e.editable() {
			continue
		}
		to := thread{what: schemas.NoticeAlert}
		if e.told {
			to = thread{what: schemas.NoticeResolved, under: e.ref}
		}
		i := slices.IndexFunc(groups, func(g group) bool { return g.thread == to })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{thread: to})
		}
		groups[i].entries = append(groups[i].entries, e)
	}
	slices.SortStableFunc(groups, func(a, b group) int {
		return cmp.Or(strings.Compare(a.what, b.what), strings.Compare(a.under.Message, b.under.Message))
	})
	return groups
}

// choose takes the most expensive one while there is room for single messages.
// Beyond, what waits is held back for others to come and told together.
func (b *book) choose(g group, now time.Time) ([]*entry, time.Time) {
	within, t := b.cfg.Storm.Within, b.sent[g.thread]
	if t == nil {
		t = &tally{}
	}
	room := b.cfg.Storm.Alerts - t.since(now.Add(-within))
	oldest, read := g.entries[0].since.appended, g.entries[0].since.read
	for _, e := range g.entries {
		oldest, read = earlier(oldest, e.since.appended), earlier(read, e.since.read)
	}
	backlog := now.Sub(oldest) > within // messages have been failing, or nobody was there to send them
	if room > 0 && (len(g.entries) <= room || !backlog) {
		return g.entries[:1], time.Time{}
	}
	due := read.Add(b.cfg.Storm.Gather)
	if next := t.digest.Add(within); next.After(due) {
		due = next
	}
	if now.Before(due) {
		return nil, due
	}
	return g.entries, time.Time{}
}

func newJob(to thread, entries []*entry) *job {
	return &job{id: postID(to.what, entries), what: to.what, under: to.under, entries: slices.Clone(entries)}
}

// postID names a message after what it tells of.
func postID(what string, entries []*entry) string {
	if len(entries) == 1 {
		return entries[0].finding.Finding + "/" + what
	}
	sum := sha256.New()
	for _, e := range entries {
		sum.Write([]byte(e.finding.Finding + "\n"))
	}
	return "digest/" + hex.EncodeToString(sum.Sum(nil)[:12]) + "/" + what
}

// edits finds a message to be replaced: by its end at once, by newer figures
// when the last ones have stood for a while.
func (b *book) edits(entries []*entry, now time.Time) (*job, time.Time) {
	var wake time.Time
	var update *entry
	for _, e := range entries {
		switch due := e.edited.Add(b.cfg.UpdateEvery); {
		case !e.editable() || !e.waiting && e.finding.Revision <= e.shown:
		case now.Before(b.editsAt):
			wake = earlier(wake, b.editsAt)
		case e.waiting:
			return editJob(schemas.NoticeResolved, e), time.Time{}
		case now.Before(due):
			wake = earlier(wake, due)
		case update == nil:
			update = e
		}
	}
	if update == nil {
		return nil, wake
	}
	return editJob(schemas.NoticeAlert, update), time.Time{}
}

func editJob(what string, e *entry) *job {
	return &job{id: postID(what, []*entry{e}), what: what, entries: []*entry{e}, edit: true}
}

// since counts the messages after a time and forgets those before it.
func (t *tally) since(after time.Time) int {
	t.times = slices.DeleteFunc(t.times, func(at time.Time) bool { return !at.After(after) })
	return len(t.times)
}

// count takes a message that was posted into the tally of its thread.
func (b *book) count(j *job, now time.Time) {
	start := now.Add(-b.cfg.Storm.Within)
	for to, t := range b.sent {
		if t.since(start) == 0 && !t.digest.After(start) {
			delete(b.sent, to)
		}
	}
	to := thread{what: j.what, under: j.under}
	t := b.sent[to]
	if t == nil {
		t = &tally{}
		b.sent[to] = t
	}
	if len(t.times) >= b.cfg.Storm.Alerts || len(j.entries) > 1 {
		t.digest = now
	}
	t.times = append(t.times, now)
}

// earlier is the earlier of two times; a zero one is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

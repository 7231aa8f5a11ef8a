package notify

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gpumeter/gpumeter/schemas"
)

// A land is what outlives a process: the two topics, the offsets, the messages.
// It is a model of run.go and deliver.go without Kafka and Slack, in which
// anything may happen between any two steps.
type land struct {
	t         *rapid.T
	canFind   bool
	now       time.Time
	findings  [2][]schemas.Finding // by partition and offset
	appended  [2][]time.Time
	notices   [2][]schemas.Notice
	committed [2]int64
	posts     map[string]schemas.Notice // by id of the message
	told      map[string]int            // by finding and what: messages that show it
	marked    map[string]int            // of those, the ones that may repeat another
	book      *book
}

func newLand(t *rapid.T, canFind bool) *land {
	l := &land{t: t, canFind: canFind, now: time.UnixMilli(1_780_000_000_000), posts: map[string]schemas.Notice{}, told: map[string]int{}, marked: map[string]int{}}
	l.revive()
	return l
}

// revive is the start of a process.
func (l *land) revive() {
	cfg := DefaultConfig()
	cfg.Storm.Alerts = rapid.IntRange(0, 3).Draw(l.t, "alerts")
	l.book = newBook(cfg)
	for p := range l.findings {
		l.book.take(int32(p), l.committed[p], int64(len(l.findings[p])), false)
		for i := range l.notices[p] {
			l.book.recall(int32(p), &l.notices[p][i], l.now)
		}
	}
}

func (l *land) say(p int, f schemas.Finding) {
	l.findings[p] = append(l.findings[p], f)
	l.appended[p] = append(l.appended[p], l.now)
}

// read hands n records of each partition over.
func (l *land) read(n int) {
	for p := range l.findings {
		part := l.book.parts[int32(p)]
		for range n {
			at := part.next
			if at >= int64(len(l.findings[p])) {
				break
			}
			l.book.read(int32(p), at, &l.findings[p][at], l.appended[p][at], l.now)
			l.book.at(int32(p), at+1)
		}
	}
}

func (l *land) commit() {
	for p := range l.committed {
		at := l.book.parts[int32(p)].committable()
		if at < l.committed[p] {
			l.t.Fatalf("the offset of partition %d goes back from %d to %d", p, l.committed[p], at)
		}
		l.committed[p] = at
	}
}

// tell does one job, unless the process dies at a step, 0 to 3, or no answer
// comes, 5 and 6.
func (l *land) tell(dies int) bool {
	j, wake := l.book.plan(l.now)
	if j == nil {
		if !wake.IsZero() && wake.Before(l.now) {
			l.t.Fatalf("wake at %v, it is %v", wake, l.now)
		}
		return false
	}
	if dies == 0 {
		l.revive()
		return true
	}
	if !j.edit && !j.recorded {
		l.record(j)
		j.recorded = true
	}
	if dies == 1 {
		l.revive()
		return true
	}
	if dies == 6 { // no answer, and it was not delivered
		j.unsure = !j.edit
		return true
	}
	notices := l.deliver(j)
	if dies == 5 { // no answer, but it was delivered
		j.unsure = !j.edit
		return true
	}
	if dies == 2 {
		l.revive()
		return true
	}
	if !j.edit || notices[0].Status == schemas.StatusResolved {
		l.write(j, notices)
	}
	for i, e := range j.entries {
		l.book.told(e, &notices[i], l.now)
	}
	if !j.edit {
		l.book.count(j, l.now)
	}
	l.book.job = nil
	if dies == 3 {
		l.revive()
	}
	return true
}

func (l *land) record(j *job) {
	posting := j.notices(schemas.NoticePosting, Ref{})
	l.write(j, posting)
	for i, e := range j.entries {
		e.tried, e.triedAt = &posting[i], l.now
	}
}

// deliver posts or edits, or finds that it was posted, and gives the notices.
func (l *land) deliver(j *job) []schemas.Notice {
	ref := Ref{}
	if l.canFind {
		ref = Ref{Channel: "C", Message: j.id}
	}
	notices := j.notices(schemas.NoticePosted, ref)
	if j.unsure && l.canFind {
		if _, found := l.posts[j.id]; found {
			for i, e := range j.entries {
				notices[i] = *e.tried
				notices[i].State, notices[i].Channel, notices[i].Message = schemas.NoticePosted, ref.Channel, ref.Message
			}
			return notices
		}
	}
	if j.unsure && j.moved() {
		l.record(j)
	}
	for _, n := range notices {
		l.shown(n, j, schemas.NoticeAlert, n.What == schemas.NoticeAlert && !j.edit)
		l.shown(n, j, schemas.NoticeResolved, n.Status == schemas.StatusResolved)
	}
	if !j.edit {
		l.posts[j.id] = notices[0]
	}
	return notices
}

func (l *land) shown(n schemas.Notice, j *job, what string, yes bool) {
	key := n.Finding + " " + what
	switch {
	case !yes:
	case j.edit && l.told[key] > 0: // the same once more in the same place
	default:
		l.told[key]++
		if j.unsure && !l.canFind {
			l.marked[key]++
		}
	}
}

func (l *land) write(j *job, notices []schemas.Notice) {
	for i, e := range j.entries {
		l.notices[e.part] = append(l.notices[e.part], notices[i])
	}
}

// live does something at random.
func (l *land) live(open map[string]schemas.Finding) {
	ids := make([]string, 0, len(open))
	for n := range len(open) {
		ids = append(ids, fmt.Sprint(n))
	}
	switch rapid.IntRange(0, 5).Draw(l.t, "what") {
	case 0:
		id := fmt.Sprint(len(open))
		f := schemas.Finding{
			Finding: id, Revision: 1, Status: schemas.StatusOpen, Severity: schemas.SeverityAlert,
			BurntCost: rapid.Int64Range(0, 9).Draw(l.t, "cost"), Currency: "USD",
		}
		open[id] = f
		l.say(len(open)%2, f)
	case 1:
		if len(ids) == 0 {
			return
		}
		id := rapid.SampledFrom(ids).Draw(l.t, "which")
		f := open[id]
		if f.Status == schemas.StatusResolved {
			return
		}
		if f.Revision++; rapid.Bool().Draw(l.t, "over") {
			f.Status = schemas.StatusResolved
		}
		open[id] = f
		var n int
		_, _ = fmt.Sscan(id, &n)
		l.say((n+1)%2, f)
	case 2:
		l.now = l.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(l.t, "seconds")) * time.Second)
	case 3:
		l.read(rapid.IntRange(1, 3).Draw(l.t, "records"))
	case 4:
		l.tell(rapid.IntRange(0, 9).Draw(l.t, "dies"))
	default:
		l.commit()
	}
}

// Alerts come, are restated and end in any order while processes die anywhere:
// each alert is told once and its end once, and what is told twice, where nobody
// can be asked, says so.
func TestEachThingIsToldOnceWhateverDies(t *testing.T) {
	for _, canFind := range []bool{true, false} {
		rapid.Check(t, func(t *rapid.T) {
			l := newLand(t, canFind)
			open := map[string]schemas.Finding{}
			for range rapid.IntRange(1, 80).Draw(t, "steps") {
				l.live(open)
			}
			for range 400 { // time passes and nothing dies
				l.read(100)
				if !l.tell(4) {
					l.now = l.now.Add(time.Second)
				}
				l.commit()
			}
			for id, f := range open {
				l.once(id+" "+schemas.NoticeAlert, 1)
				if f.Status == schemas.StatusResolved {
					l.once(id+" "+schemas.NoticeResolved, 1)
				} else {
					l.once(id+" "+schemas.NoticeResolved, 0)
				}
			}
			for p := range l.findings {
				if l.committed[p] != int64(len(l.findings[p])) {
					t.Fatalf("partition %d is committed up to %d of %d", p, l.committed[p], len(l.findings[p]))
				}
			}
		})
	}
}

func (l *land) once(key string, want int) {
	l.t.Helper()
	if n, extra := l.told[key], l.marked[key]; n < want || n-extra > want {
		l.t.Fatalf("%s is told %d times, %d of them marked; want %d", key, n, extra, want)
	}
}

package notify

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// Steps after which a process may die; tests make it die there.
const (
	stepPlanned  = "planned"  // nothing is recorded
	stepRecorded = "recorded" // posting is
	stepSent     = "sent"     // the message is delivered, which nobody recorded
	stepPosted   = "posted"   // posted is recorded, the offset is not committed
)

// writeWithin bounds the wait for the brokers to take a notice: a partition's
// lease is longer, so that nobody else takes it over meanwhile.
const writeWithin = 20 * time.Second

// deliver makes one attempt and says when to go on. Only a record that the
// brokers do not take is an error: what was told must be known before the next
// message.
func (r *runner) deliver(j *job) (time.Time, error) {
	if err := r.crash(stepPlanned); err != nil {
		return time.Time{}, err
	}
	if j.edit {
		return r.replace(j)
	}
	if !j.recorded {
		j.began = time.Now()
		if err := r.record(j, schemas.NoticePosting, Ref{}); err != nil {
			return time.Time{}, err
		}
		j.recorded = true
	}
	if err := r.crash(stepRecorded); err != nil {
		return time.Time{}, err
	}
	message := j.message()
	if j.unsure {
		ref, found, err := r.env.Notifier.Find(r.life, message, j.began)
		switch {
		case errors.Is(err, ErrCannotFind):
			message.MayRepeat = true
		case err != nil:
			return r.failed(j, err), nil
		case found:
			return r.delivered(j, ref, true)
		default:
			j.unsure = false
		}
		if j.moved() { // what is found later must be what was said
			if err := r.record(j, schemas.NoticePosting, Ref{}); err != nil {
				return time.Time{}, err
			}
		}
	}
	ref, err := r.env.Notifier.Post(r.life, message)
	if err != nil {
		return r.postFailed(j, err)
	}
	return r.delivered(j, ref, false)
}

// delivered records a message that arrived, now or, if it was found, earlier:
// it shows then what it was to show at its first attempt.
func (r *runner) delivered(j *job, ref Ref, found bool) (time.Time, error) {
	now := time.Now()
	if err := r.crash(stepSent); err != nil {
		return time.Time{}, err
	}
	notices := j.notices(schemas.NoticePosted, ref)
	if found {
		for i, e := range j.entries {
			notices[i] = *e.tried
			notices[i].State, notices[i].Channel, notices[i].Message = schemas.NoticePosted, ref.Channel, ref.Message
		}
	}
	if err := r.write(j.entries, notices); err != nil {
		return time.Time{}, err
	}
	r.finish(j, notices, now)
	return now, r.crash(stepPosted)
}

// finish marks what was told and makes room for the next message.
func (r *runner) finish(j *job, notices []schemas.Notice, now time.Time) {
	waited := make([]time.Duration, 0, len(j.entries))
	for i, e := range j.entries {
		if e.waiting {
			waited = append(waited, now.Sub(e.since.appended))
		}
		r.book.told(e, &notices[i], now)
	}
	r.metrics.delivered(r.life, j, waited)
	r.book.job = nil
	if j.edit {
		r.editRetries = 0
		return
	}
	r.book.count(j, now)
	r.retries, r.retryAt = 0, time.Time{}
}

// replace edits a message. Doing it again shows the same, so only the end of an
// alert is recorded.
func (r *runner) replace(j *job) (time.Time, error) {
	e, now := j.entries[0], time.Now()
	err := r.env.Notifier.Edit(r.life, e.ref, j.message())
	if err != nil {
		return r.editFailed(j, err), nil
	}
	if err := r.crash(stepSent); err != nil {
		return time.Time{}, err
	}
	notices := j.notices(schemas.NoticePosted, e.ref)
	if notices[0].Status == schemas.StatusResolved {
		if err := r.write(j.entries, notices); err != nil {
			return time.Time{}, err
		}
	}
	r.finish(j, notices, now)
	return now, r.crash(stepPosted)
}

// editFailed puts the edit off, and with it all others, so that they do not hold
// up alerts: Slack limits them apart. New figures wait until their time comes
// again, the end of an alert is tried until it is told.
func (r *runner) editFailed(j *job, err error) time.Time {
	e, f := j.entries[0], failure(err)
	switch {
	case f.Kind == Refused && !j.plain:
		r.complain(f, j)
		j.plain = true
		return time.Now()
	case f.Kind == Gone || f.Kind == Refused:
		r.complain(f, j)
		e.ref, r.book.job = Ref{}, nil // its end becomes a message of its own
		return time.Now()
	case !e.waiting:
		e.edited = time.Now()
	}
	r.complain(f, j)
	r.metrics.retried.Add(r.life, 1)
	r.book.job, r.book.editsAt = nil, time.Now().Add(r.pause(f, r.editRetries))
	r.editRetries++
	return time.Now()
}

// postFailed decides what comes next. A message that is refused as it is, and
// as plain text too, is given up: others wait behind it.
func (r *runner) postFailed(j *job, err error) (time.Time, error) {
	f := failure(err)
	j.unsure = j.unsure || f.Unsure
	switch {
	case f.Kind == Refused && !j.plain:
		r.complain(f, j)
		j.plain = true
		return time.Now(), nil
	case f.Kind == Refused:
		r.complain(f, j)
		r.env.Log.Error("message given up: it is refused even as plain text", "message", j.id, "findings", len(j.entries), "error", f)
		r.metrics.refused.Add(r.life, 1)
		notices := j.notices(schemas.NoticeRefused, Ref{})
		if err := r.write(j.entries, notices); err != nil {
			return time.Time{}, err
		}
		now := time.Now()
		for i, e := range j.entries {
			r.book.told(e, &notices[i], now)
		}
		r.book.job = nil
		return now, nil
	}
	return r.failed(j, err), nil
}

// failed says when the next attempt is made.
func (r *runner) failed(j *job, err error) time.Time {
	f := failure(err)
	r.complain(f, j)
	r.metrics.retried.Add(r.life, 1)
	r.retryAt = time.Now().Add(r.pause(f, r.retries))
	r.retries++
	return r.retryAt
}

// pause is as long as the other side said; otherwise it grows with the failures
// and is never the same for two.
func (r *runner) pause(f *Failure, failures int) time.Duration {
	if f.After > 0 {
		return f.After
	}
	first := r.pace.passing
	if f.Kind == Blocking {
		first = r.pace.blocking
	}
	pause := min(first<<min(failures, 20), r.pace.longest)
	return pause + time.Duration(rand.Int64N(int64(pause)/2+1))
}

// complain counts a failure, and logs one of a kind in a while.
func (r *runner) complain(f *Failure, j *job) {
	r.metrics.failure(r.life, f)
	held, yes := r.quiet.speak(f.Reason, time.Now())
	if !yes {
		return
	}
	say, text := r.env.Log.Warn, "message not delivered; trying again"
	if f.Kind == Blocking {
		say, text = r.env.Log.Error, "messages cannot be delivered until somebody mends it; trying again"
	}
	say(text, "reason", f.Reason, "message", j.id, "waiting", r.book.waiting(), "unlogged", held, "error", f)
}

// notices makes what is recorded about each finding of a message.
func (j *job) notices(state string, ref Ref) []schemas.Notice {
	out := make([]schemas.Notice, len(j.entries))
	for i, e := range j.entries {
		out[i] = schemas.Notice{
			Finding: e.finding.Finding, Revision: e.finding.Revision, Status: e.finding.Status,
			What: j.what, State: state, Post: j.id, Members: int64(len(j.entries)), Channel: ref.Channel, Message: ref.Message,
		}
	}
	return out
}

// moved reports whether the message would show something else than what is
// recorded as posting.
func (j *job) moved() bool {
	return slices.ContainsFunc(j.entries, func(e *entry) bool { return e.tried == nil || e.tried.Revision != e.finding.Revision })
}

// record writes a step of a message and remembers it.
func (r *runner) record(j *job, state string, ref Ref) error {
	notices := j.notices(state, ref)
	if err := r.write(j.entries, notices); err != nil {
		return err
	}
	for i, e := range j.entries {
		e.tried, e.triedAt = &notices[i], j.began
	}
	return nil
}

// write appends notices, each in the partition of its finding.
func (r *runner) write(entries []*entry, notices []schemas.Notice) error {
	parts := map[int32][]schemas.Notice{}
	for i, e := range entries {
		parts[e.part] = append(parts[e.part], notices[i])
	}
	return r.append(parts)
}

// noticesPerRecord keeps a record far below what brokers take.
const noticesPerRecord = 2000

func (r *runner) append(parts map[int32][]schemas.Notice) error {
	var records []*kgo.Record
	for partition, rows := range parts {
		for len(rows) > 0 {
			n := min(len(rows), noticesPerRecord)
			record, err := wire.Encode("", rows[:n])
			if err != nil {
				return err
			}
			record.Partition = partition
			records, rows = append(records, record), rows[n:]
		}
	}
	ctx, cancel := context.WithTimeout(r.life, writeWithin)
	defer cancel()
	if err := r.writer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("record what was told: %w", err)
	}
	return nil
}

package letters

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/clickhouse"
)

// A Letter is a dead letter and what became of it.
type Letter struct {
	ID       string     `json:"id"`
	Stream   string     `json:"stream"`
	Place    string     `json:"place"`
	Reason   string     `json:"reason"`
	Detail   string     `json:"detail"`
	Payload  []byte     `json:"payload,omitempty"`
	Count    int64      `json:"count"`
	At       time.Time  `json:"appended_at"`
	State    string     `json:"state"`
	Note     string     `json:"note,omitempty"`
	MarkedAt *time.Time `json:"marked_at,omitempty"`
	// Remedy says what to do about it, as a person would.
	Remedy string `json:"remedy"`
}

// A Filter chooses letters; what is empty chooses all.
type Filter struct {
	IDs    []string
	Reason string
	Stream string        // name of a stream
	Topic  string        // full name of a topic: letters about records in it
	Since  time.Duration // not older than this
	Limit  int           // the newest of them
	All    bool          // also those that were retried or dropped
}

// narrow reports whether f names anything.
func (f Filter) narrow() bool {
	return len(f.IDs) > 0 || f.Reason != "" || f.Stream != "" || f.Topic != "" || f.Since > 0
}

// List finds letters, the newest first.
func List(ctx context.Context, conn driver.Conn, f Filter) ([]Letter, error) {
	rows, err := conn.Query(ctx, "SELECT id, stream, place, reason, detail, payload, count, appended_at, state, note, marked_at FROM "+clickhouse.Database+".dead_letters"+
		" WHERE (empty({ids:Array(String)}) OR has({ids:Array(String)}, id))"+
		" AND ({reason:String} = '' OR reason = {reason:String})"+
		" AND ({stream:String} = '' OR stream = {stream:String})"+
		" AND ({topic:String} = '' OR startsWith(place, concat('topic ', {topic:String}, ' ')))"+
		" AND ({since:Int64} = 0 OR appended_at >= now64(3) - toIntervalMillisecond({since:Int64}))"+
		" AND ({all:Bool} OR state = {open:String})"+
		" ORDER BY appended_at DESC, id LIMIT {limit:UInt64}", f.parameters()...)
	if err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	defer rows.Close()
	all := []Letter{}
	for rows.Next() {
		var l Letter
		var payload string
		if err := rows.Scan(&l.ID, &l.Stream, &l.Place, &l.Reason, &l.Detail, &payload, &l.Count, &l.At, &l.State, &l.Note, &l.MarkedAt); err != nil {
			return nil, fmt.Errorf("read a dead letter: %w", err)
		}
		l.Payload = []byte(payload)
		_, l.Remedy = remedyFor(&l)
		all = append(all, l)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list dead letters: %w", err)
	}
	return all, nil
}

// parameters are those of List's query; what f leaves open is empty.
func (f Filter) parameters() []any {
	ids := f.IDs
	if ids == nil {
		ids = []string{}
	}
	named := func(name string, value any) any { return driver.NamedValue{Name: name, Value: value} }
	return []any{
		named("ids", ids), named("reason", f.Reason), named("stream", f.Stream), named("topic", f.Topic),
		named("since", fmt.Sprint(f.Since.Milliseconds())), named("all", fmt.Sprint(f.All)), named("open", clickhouse.LetterOpen), named("limit", fmt.Sprint(f.Limit)),
	}
}

// mark notes what was done about a letter.
func mark(ctx context.Context, conn driver.Conn, l *Letter, state, note string) error {
	err := conn.Exec(ctx, "INSERT INTO "+clickhouse.Database+"."+clickhouse.TableMarks+
		" (digest, state, note) SELECT reinterpretAsUInt64(reverse(unhex({id:String}))), {state:String}, {note:String}",
		driver.NamedValue{Name: "id", Value: l.ID}, driver.NamedValue{Name: "state", Value: state}, driver.NamedValue{Name: "note", Value: note})
	if err != nil {
		return fmt.Errorf("mark letter %s: %w", l.ID, err)
	}
	return nil
}

// ErrNothingChosen is returned where letters must be named.
var ErrNothingChosen = errors.New("no letters named: give ids, or one of --reason, --stream, --topic, --since")

// Drop marks letters as needing nothing, and returns them.
func Drop(ctx context.Context, conn driver.Conn, f Filter, because string) ([]Letter, error) {
	if !f.narrow() {
		return nil, ErrNothingChosen
	}
	if strings.TrimSpace(because) == "" {
		return nil, errors.New("because: say why it needs nothing, for whoever asks later: --because 'test cluster'")
	}
	all, err := List(ctx, conn, f)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].State == clickhouse.LetterDropped {
			continue // said before
		}
		if err := mark(ctx, conn, &all[i], clickhouse.LetterDropped, because); err != nil {
			return all[:i], err
		}
		all[i].State, all[i].Note = clickhouse.LetterDropped, because
	}
	return all, nil
}

// isReport reports whether what the letter is about is kept and counts as soon as
// what it lacks comes.
func isReport(reason string) bool {
	switch reason {
	case schemas.ReasonNoStart, schemas.ReasonNoResource, schemas.ReasonPriceConflict:
		return true
	}
	return false
}

package clickhouse

import (
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// States of a dead letter.
const (
	LetterOpen    = "open"    // nobody has dealt with it
	LetterRetried = "retried" // it was published again
	LetterDropped = "dropped" // somebody decided that it needs nothing
)

// deadLettersView has every letter with what became of it.
func deadLettersView() View {
	v := logView(schemas.StreamDeadLetters)
	marked := func(name, kind, doc, expression string) {
		v.Columns = append(v.Columns, Column{Name: name, Type: kind, Doc: doc})
		v.Query = strings.Replace(v.Query, "\nFROM ", ",\n    "+expression+" AS "+quote(name)+"\nFROM ", 1)
	}
	marked("id", "String", "name of the letter, as gpumeter dead-letters takes it", "lower(hex(digest))")
	marked("state", "String", "open, retried or dropped", "if(marks.last = '', '"+LetterOpen+"', marks.last)")
	marked("note", "String", "why it was dropped, or where it was published again", "marks.why")
	marked("marked_at", "Nullable("+typeInstant+")", "when it was retried or dropped", "if(marks.last = '', NULL, marks.at)")
	v.Query = strings.Replace(v.Query, " FINAL", " AS letters FINAL", 1) + "\nLEFT JOIN\n(\n    SELECT digest AS marked, argMax(state, marked_at) AS last, argMax(note, marked_at) AS why, max(marked_at) AS at\n    FROM " +
		Database + "." + TableMarks + "\n    GROUP BY digest\n) AS marks ON letters.digest = marks.marked"
	return v
}

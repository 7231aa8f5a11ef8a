package verify

import (
	"fmt"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/deploy/oracle"
)

// A Report is what was checked and what is broken.
type Report struct {
	Horizon    time.Time  `json:"horizon"`         // of the ledger, UTC
	Rows       int64      `json:"rows"`            // rows of cost that were read
	Violations int64      `json:"violations"`      // over all checks
	First      *Violation `json:"first,omitempty"` // the first broken row, in the order of rows
	Checks     []Check    `json:"checks"`          // that were run
}

// A Check is one thing that must hold.
type Check struct {
	Name       string     `json:"name"`
	Doc        string     `json:"doc"`
	Compared   int64      `json:"compared"` // rows, cells or sums
	Violations int64      `json:"violations"`
	First      *Violation `json:"first,omitempty"`
}

// A Violation names a row, or what there is instead of one.
type Violation struct {
	Check    string `json:"check"`
	Row      string `json:"row"`    // the key of the row, cell or sum
	Column   string `json:"column"` // empty when the row as a whole is wrong
	Expected string `json:"expected"`
	Found    string `json:"found"`
}

// String is one line for people.
func (v Violation) String() string {
	column := ""
	if v.Column != "" {
		column = v.Column + " "
	}
	return fmt.Sprintf("%s: %s: %sexpected %s, found %s", v.Check, v.Row, column, v.Expected, v.Found)
}

// OK tells whether nothing is broken.
func (r *Report) OK() bool { return r.Violations == 0 }

// String is the report for people: a line for each check, then the first broken row.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d rows up to %s\n", r.Rows, r.Horizon.Format(instantFormat))
	for _, c := range r.Checks {
		verdict := "ok"
		if c.Violations > 0 {
			verdict = fmt.Sprintf("%d BROKEN", c.Violations)
		}
		fmt.Fprintf(&b, "%-14s %10d  %-10s %s\n", c.Name, c.Compared, verdict, c.Doc)
	}
	for _, c := range r.Checks {
		if c.First != nil {
			fmt.Fprintf(&b, "first broken: %s\n", c.First)
		}
	}
	fmt.Fprintf(&b, "verify: %d violations\n", r.Violations)
	return b.String()
}

const instantFormat = "2006-01-02T15:04:05.000Z"

func instant(ms int64) string { return time.UnixMilli(ms).UTC().Format(instantFormat) }

// keyOf names a row.
func keyOf(r *oracle.Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "resource=%s gpu=%s window=[%s, %s)", r.Resource, r.GPU, instant(r.WindowStart), instant(r.WindowEnd))
	if r.Slice != "" {
		fmt.Fprintf(&b, " slice=%s", r.Slice)
	}
	if r.Allocation != "" {
		fmt.Fprintf(&b, " allocation=%s", r.Allocation)
	}
	return b.String() + " state=" + r.State.String()
}

// A tally counts for one check.
type tally struct{ Check }

func (t *tally) result() *Check { return &t.Check }

func (t *tally) stop() {}

func newTally(name, doc string) tally { return tally{Check{Name: name, Doc: doc}} }

func (t *tally) broken(row, column, expected, found string) {
	t.Violations++
	if t.First == nil {
		t.First = &Violation{t.Name, row, column, expected, found}
	}
}

// number compares two numbers of a row.
func (t *tally) number(r *oracle.Row, column string, expected, found int64) {
	if expected != found {
		t.broken(keyOf(r), column, value(expected), value(found))
	}
}

func value(v int64) string {
	if v == oracle.Absent {
		return "NULL"
	}
	return fmt.Sprint(v)
}

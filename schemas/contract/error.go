package contract

import (
	"fmt"

	"github.com/gpumeter/gpumeter/schemas"
)

// An Error says why a line was refused.
type Error struct {
	Reason string // one of the schemas.Reason constants
	Field  string // the field as the contract names it, "gpus.share" inside a list; empty for the line as a whole
	Detail string // what is wrong and how to mend it
}

// Error is "reason: field: detail".
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Reason + ": " + e.Detail
	}
	return e.Reason + ": " + e.Field + ": " + e.Detail
}

// shownBytes is how much of an offending value a detail repeats.
const shownBytes = 40

func refuse(reason, field, format string, args ...any) *Error {
	return &Error{Reason: reason, Field: field, Detail: fmt.Sprintf(format, args...)}
}

func badJSON(format string, args ...any) *Error {
	return refuse(schemas.ReasonBadJSON, "", format, args...)
}

func badField(field, format string, args ...any) *Error {
	return refuse(schemas.ReasonBadField, field, format, args...)
}

func badNumber(field, format string, args ...any) *Error {
	return refuse(schemas.ReasonBadNumber, field, format, args...)
}

// show cuts a value to what fits a message.
func show(b []byte) string {
	if len(b) > shownBytes {
		return string(b[:shownBytes]) + "…"
	}
	return string(b)
}

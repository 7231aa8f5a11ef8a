package slack

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gpumeter/gpumeter/sink/notify"
)

// A Printer shows messages as they would be sent. What is printed cannot be
// replaced: the end of an alert is a message of its own.
type Printer struct {
	to   io.Writer
	link Link
}

// NewPrinter prints to w, which is written to from one goroutine at a time and
// gets each message in one Write.
func NewPrinter(w io.Writer, link Link) *Printer { return &Printer{w, link} }

// Post prints a message.
func (p *Printer) Post(_ context.Context, m notify.Message) (notify.Ref, error) {
	if _, err := io.WriteString(p.to, Text(m, p.link)); err != nil {
		return notify.Ref{}, &notify.Failure{Kind: notify.Passing, Unsure: true, Reason: "print", Err: fmt.Errorf("print a message: %w", err)}
	}
	return notify.Ref{}, nil
}

// Edit cannot be asked for: Post returns no place.
func (p *Printer) Edit(context.Context, notify.Ref, notify.Message) error {
	return &notify.Failure{Kind: notify.Gone, Reason: "printed"}
}

// Find cannot know what was printed.
func (p *Printer) Find(context.Context, notify.Message, time.Time) (notify.Ref, bool, error) {
	return notify.Ref{}, false, notify.ErrCannotFind
}

package notify

import (
	"context"
	"errors"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Message is what people are to be told. Its text is the Notifier's.
type Message struct {
	ID        string            // the same when it is tried again
	What      string            // schemas.NoticeAlert or schemas.NoticeResolved: why it is sent
	Findings  []schemas.Finding // one, or those of a digest ordered by money; some may be over although What is an alert
	Under     Ref               // the message that it answers, zero = none
	MayRepeat bool              // it may have been delivered before
	Plain     bool              // the same, as simple as can be: it was refused as it was
}

// A Ref is where a message is. The zero value is nowhere.
type Ref struct {
	Channel string
	Message string
}

// Zero reports whether it is nowhere.
func (r Ref) Zero() bool { return r.Message == "" }

// A Notifier delivers messages. Its methods are called one at a time, give up by
// themselves after some seconds, and fail with a *Failure.
type Notifier interface {
	// Post delivers a new message and says where it is, if that can be said.
	Post(context.Context, Message) (Ref, error)
	// Edit replaces the message at a Ref that Post returned.
	Edit(context.Context, Ref, Message) error
	// Find looks for a message that was perhaps posted at that time or later.
	// ErrCannotFind says that nothing can be asked.
	Find(context.Context, Message, time.Time) (Ref, bool, error)
}

// ErrCannotFind is returned by a Notifier that cannot look for messages.
var ErrCannotFind = errors.New("what was posted cannot be looked up")

// Kind says what a failure means for the next attempt.
type Kind int

const (
	// Passing failures are tried again: the other side is away or busy.
	Passing Kind = iota
	// Blocking ones need a person (a token that was revoked, a channel that is
	// not there) and meet every message; it is tried again, slowly.
	Blocking
	// Refused is a message that is wrong in itself, which no repetition mends.
	Refused
	// Gone is a message that cannot be replaced any more.
	Gone
)

// A Failure is why a message was not delivered.
type Failure struct {
	Kind   Kind
	After  time.Duration // not to be tried again before, 0 = not said
	Unsure bool          // it may have been delivered all the same
	Reason string        // one of few, like rate_limited or channel_not_found
	Err    error         // without any secret
}

// Error says the reason and the cause.
func (f *Failure) Error() string {
	if f.Err == nil {
		return f.Reason
	}
	return f.Reason + ": " + f.Err.Error()
}

// Unwrap gives the cause.
func (f *Failure) Unwrap() error { return f.Err }

// failure takes any error for a Failure: one that says nothing else passes, and
// may have delivered.
func failure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return f
	}
	return &Failure{Kind: Passing, Unsure: true, Reason: "other", Err: err}
}

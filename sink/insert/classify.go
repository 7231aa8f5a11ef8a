package insert

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	driver "github.com/ClickHouse/clickhouse-go/v2"
)

// An Action is what to do about an insert that failed.
type Action uint8

const (
	// Stop means that what is sent does not fit what is there: a table, a column
	// or a type is another. Repeating it changes nothing.
	Stop Action = iota
	// Retry means that the server is away, restarting, full or overloaded.
	Retry
	// Mend means that the server does not let this account in, or not write: the
	// same may succeed once somebody has changed that, at the server or in the
	// file of the password.
	Mend
)

func (a Action) String() string { return [...]string{"stop", "retry", "mend"}[a] }

// Classify is the one place that decides what an error of ClickHouse means.
// Servers have a thousand exceptions, most of which pass: a full disk alone has
// four. So what is known to be final stops, and any other exception is tried
// again. Errors that are neither an exception nor of the network stop.
func Classify(err error) Action {
	if err == nil || errors.Is(err, context.Canceled) {
		return Stop
	}
	if code, ok := exceptionCode(err); ok {
		switch {
		case slices.Contains(misfits(), code):
			return Stop
		case slices.Contains(refusals(), code):
			return Mend
		}
		return Retry
	}
	var network net.Error
	switch {
	case errors.Is(err, errRefused):
		return Mend
	case errors.As(err, &network), errors.Is(err, errUnavailable),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNREFUSED),
		errors.Is(err, ch.ErrClosed), errors.Is(err, context.DeadlineExceeded):
		return Retry
	}
	return Stop
}

func exceptionCode(err error) (proto.Error, bool) {
	if exception, ok := ch.AsException(err); ok {
		return exception.Code, true
	}
	var exception *driver.Exception
	if errors.As(err, &exception) {
		return proto.Error(exception.Code), true
	}
	return 0, false
}

// misfits are the exceptions of a block or a statement that the tables do not
// take.
func misfits() []proto.Error {
	return []proto.Error{
		proto.ErrUnknownDatabase, proto.ErrUnknownTable, proto.ErrNoSuchColumnInTable, proto.ErrUnknownIdentifier,
		proto.ErrThereIsNoColumn, proto.ErrNotFoundColumnInBlock, proto.ErrDuplicateColumn, proto.ErrIllegalColumn,
		proto.ErrIncorrectNumberOfColumns, proto.ErrNumberOfColumnsDoesntMatch, proto.ErrSizesOfColumnsDoesntMatch,
		proto.ErrTypeMismatch, proto.ErrCannotConvertType, proto.ErrNoCommonType, proto.ErrCannotInsertNullInOrdinaryColumn,
		proto.ErrUnknownType, proto.ErrUnknownFunction, proto.ErrUnknownSetting, proto.ErrUnknownFormat,
		proto.ErrSyntaxError, proto.ErrIncorrectData, proto.ErrUnsupportedMethod, proto.ErrNotImplemented,
	}
}

// refusals are the exceptions of an account that is wrong or may not write.
func refusals() []proto.Error {
	return []proto.Error{
		proto.ErrUnknownUser, proto.ErrWrongPassword, proto.ErrRequiredPassword, proto.ErrIPAddressNotAllowed,
		proto.ErrAuthenticationFailed, proto.ErrAccessDenied, proto.ErrReadonly,
	}
}

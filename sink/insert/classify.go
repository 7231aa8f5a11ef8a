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

// Retriable reports whether the same insert may succeed later: the server is
// away, restarting or overloaded. Everything else, a table or column that is
// not there above all, needs a person.
func Retriable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if code, ok := exceptionCode(err); ok {
		return slices.Contains(passing(), code)
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, errUnavailable) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNREFUSED) ||
		errors.Is(err, ch.ErrClosed) || errors.Is(err, context.DeadlineExceeded)
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

// passing lists the exceptions that pass by themselves, or once somebody has
// made room.
func passing() []proto.Error {
	return []proto.Error{
		proto.ErrTimeoutExceeded, proto.ErrSocketTimeout, proto.ErrNetworkError, proto.ErrTooManySimultaneousQueries,
		proto.ErrMemoryLimitExceeded, proto.ErrTooManyParts, proto.ErrNotEnoughSpace, proto.ErrTableIsReadOnly,
		proto.ErrNoZookeeper, proto.ErrTooFewLiveReplicas, proto.ErrUnknownStatusOfInsert, proto.ErrQueryWasCancelled,
		proto.ErrAborted, proto.ErrCannotScheduleTask, proto.ErrAllConnectionTriesFailed, proto.ErrCannotAllocateMemory,
		keeperException,
	}
}

// keeperException is KEEPER_EXCEPTION.
const keeperException proto.Error = 999

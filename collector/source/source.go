// Package source is what every source of the collector has in common: it hands
// rows to a sink. It collects nothing itself.
package source

import (
	"context"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
)

// A Source hands rows to a Sink until ctx ends or it has no more. The end of ctx
// is the regular end of a source that never has no more: it returns nil then.
type Source interface {
	Run(ctx context.Context, to Sink) error
}

// A Sink takes rows, in the order of one caller. Its methods may be called from
// several goroutines; they block while the brokers do not keep up, with a spool for
// a bounded time only, and return the first error that makes it no use to go on.
type Sink interface {
	Sample(*contract.Sample) error
	Process(schemas.Process) error
	Allocation(schemas.Allocation) error
	Resource(schemas.Resource) error
	Price(schemas.Price) error
	Tag(schemas.Tag) error
	DeadLetter(schemas.DeadLetter) error
}

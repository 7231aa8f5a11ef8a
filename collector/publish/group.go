package publish

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/contract"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// A groupKey names the rows that travel together.
type groupKey struct {
	stream string
	key    string // node; empty for the streams of one partition
}

// A group is a batch in the making.
type group struct {
	groupKey
	since time.Time // of its first row
	bytes int       // of texts and lists in its rows, about
	batch batch
}

// A batch holds the rows of a group: samples in columns, anything else as rows.
type batch interface {
	Len() int
	record(*wire.SampleEncoder) (*kgo.Record, error)
}

type samples struct{ contract.Batch }

func (s *samples) record(e *wire.SampleEncoder) (*kgo.Record, error) { return e.Encode(&s.Samples) }

type rows[T wire.Row] struct {
	key   string // of all rows, empty when they differ
	items []T
}

func (r *rows[T]) Len() int { return len(r.items) }

func (r *rows[T]) add(key string, row T) {
	if len(r.items) == 0 {
		r.key = key
	}
	if r.key != key {
		r.key = "" // the one partition needs none, and no single key would be true
	}
	r.items = append(r.items, row)
}

func (r *rows[T]) record(*wire.SampleEncoder) (*kgo.Record, error) {
	return wire.Encode(r.key, r.items)
}

// A route says where a row goes, and how heavy it is.
type route struct {
	groupKey
	record string // key of its record, as schemas.Streams declares it
	event  bool   // it moves the horizon of a replay, to ts
	ts     int64
	bytes  int // of its texts and lists, about: what makes some rows much larger than others
}

func routeOf[T wire.Row](row *T) route {
	to := func(stream, record string, bytes int) route {
		return route{groupKey: groupKey{stream: stream}, record: record, bytes: bytes}
	}
	switch r := any(row).(type) {
	case *schemas.Process:
		return route{groupKey{schemas.StreamProcesses, r.Node}, r.Node, true, r.TS, 0}
	case *schemas.Allocation:
		return route{groupKey{stream: schemas.StreamAllocations}, r.Allocation, true, r.TS, allocationBytes(r)}
	case *schemas.Resource:
		return to(schemas.StreamResources, r.Node, textBytes(r.GPUs...))
	case *schemas.Price:
		return to(schemas.StreamPrices, r.Provider+"/"+r.Region+"/"+r.SKU+"/"+r.PricingCategory, 0)
	case *schemas.Tag:
		return to(schemas.StreamTags, r.Match, textBytes(r.Match, r.Set))
	case *schemas.DeadLetter:
		return to(schemas.StreamDeadLetters, r.Stream, len(r.Payload)+textBytes(r.Detail))
	default:
		return to(schemas.StreamTicks, "", 0)
	}
}

// perText is what a text costs beside its bytes.
const perText = 8

func textBytes(texts ...string) (n int) {
	for _, t := range texts {
		n += len(t) + perText
	}
	return n
}

func allocationBytes(a *schemas.Allocation) int {
	n := textBytes(a.Allocation, a.User, a.Name, a.Namespace, a.Image) + textBytes(a.Command...)
	for i := range a.GPUs {
		n += textBytes(a.GPUs[i].Node, a.GPUs[i].GPU, a.GPUs[i].Slice)
	}
	for i := range a.Labels {
		n += textBytes(a.Labels[i].Key, a.Labels[i].Value)
	}
	return n
}

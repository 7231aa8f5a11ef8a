package gap

import (
	"fmt"
	"strings"
	"time"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Kind is what happened to a partition.
type Kind string

// Kinds of gaps.
const (
	Expired   Kind = "expired"   // retention took records before they were read
	Recreated Kind = "recreated" // the topic was deleted and made again: what was not read of the former is gone
	Cut       Kind = "cut"       // brokers lost records that had been read
)

// A Gap is why a group does not read a partition on where it left it.
type Gap struct {
	Place
	Log  Log // of a gap that was met while reading Start or End is all that is known
	Kind Kind
}

// Records is how many offsets are gone; at least 1, which also stands for what nobody
// knows.
func (g *Gap) Records() int64 {
	switch g.Kind {
	case Expired:
		return max(1, g.Log.Start-g.Next)
	case Cut:
		return max(1, g.Next-g.Log.End)
	default:
		return 1
	}
}

// String says what happened.
func (g *Gap) String() string {
	at := fmt.Sprintf("%s partition %d", g.Topic, g.Partition)
	switch {
	case g.Kind == Expired:
		return fmt.Sprintf("%s: offsets %d to %d expired before group %s read them; they were appended between %s and %s",
			at, g.Next, g.Log.Start-1, g.Group, instant(g.Time), instant(g.Log.First))
	case g.Kind == Cut:
		return fmt.Sprintf("%s: it ends at offset %d, but group %s has read to %d: the brokers lost records and use their offsets again",
			at, g.Log.End, g.Group, g.Next)
	case g.Next < 0:
		return fmt.Sprintf("%s: the topic was recreated (deleted and made again) since group %s read it: what the former had, and was not read, is lost; the brokers do not know how far it was read",
			at, g.Group)
	}
	return fmt.Sprintf("%s: the topic was recreated (deleted and made again) since group %s read it to offset %d: what the former had behind that is lost",
		at, g.Group, g.Next)
}

// Letter tells of the gap, and of what follows from it. A gap that is found again is the
// same letter.
func (g *Gap) Letter(follows string) schemas.DeadLetter {
	offset := g.Next
	if offset < 0 {
		offset = g.Log.Start
	}
	return schemas.DeadLetter{
		Stream: strings.TrimPrefix(g.Topic, schemas.Prefix), Reason: schemas.ReasonGap,
		Place:  fmt.Sprintf("topic %s partition %d offset %d", g.Topic, g.Partition, offset),
		Detail: g.String() + "; " + follows, Count: g.Records(),
	}
}

func instant(ms int64) string {
	if ms == 0 {
		return "(not known)"
	}
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

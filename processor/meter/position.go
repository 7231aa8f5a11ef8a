package meter

import (
	"fmt"

	"github.com/gpumeter/gpumeter/schemas"
)

// The reference topics: one partition each, read whole by every processor.
const (
	refAllocations = iota
	refResources
	refPrices
	refTags
	refTicks
	refCount
)

// refStreams names the reference streams in the order of Refs.
func refStreams() [refCount]string {
	return [refCount]string{
		schemas.StreamAllocations, schemas.StreamResources, schemas.StreamPrices, schemas.StreamTags, schemas.StreamTicks,
	}
}

func refTopic(ref int) string { return schemas.Prefix + refStreams()[ref] }

// Refs holds, for each reference topic, the offset of the next record: of
// allocations, resources, prices, tags and ticks.
type Refs [refCount]int64

// below reports whether r asks for no more than o offers.
func (r Refs) below(o Refs) bool {
	for i := range r {
		if r[i] > o[i] {
			return false
		}
	}
	return true
}

// A Position says what the published cells of one samples partition reflect,
// beside the samples below the committed offset. It is that offset's metadata.
type Position struct {
	Refs    Refs  // reference events below these offsets
	Horizon int64 // horizon in Unix ms, 0 = none yet
	Final   bool  // every window before the horizon is final
	Applied int64 // ticks that name a horizon and lie below this offset have been applied
}

const positionFormat = "gpumeter/1 refs=%d,%d,%d,%d,%d horizon=%d final=%t applied=%d"

// String is the metadata text: what `kafka-consumer-groups --describe` and
// other tools show, and what ParsePosition reads.
func (p Position) String() string {
	return fmt.Sprintf(positionFormat, p.Refs[0], p.Refs[1], p.Refs[2], p.Refs[3], p.Refs[4], p.Horizon, p.Final, p.Applied)
}

// ParsePosition reads what String wrote, and nothing else.
func ParsePosition(text string) (Position, error) {
	var p Position
	_, err := fmt.Sscanf(text, positionFormat, &p.Refs[0], &p.Refs[1], &p.Refs[2], &p.Refs[3], &p.Refs[4], &p.Horizon, &p.Final, &p.Applied)
	if err != nil || p.String() != text {
		return Position{}, fmt.Errorf("offset metadata %.100q is not a position of this processor: another program has committed to its group", text)
	}
	return p, nil
}

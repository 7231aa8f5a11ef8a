package meter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/processor/engine"
	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/gap"
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

// refOf is the reference topic of that name, -1 = none.
func refOf(topic string) int {
	streams := refStreams()
	return slices.Index(streams[:], streamOf(topic))
}

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

// least and most are, topic by topic, the lower and the higher of two offsets.
func (r Refs) least(o Refs) Refs {
	for i := range r {
		r[i] = min(r[i], o[i])
	}
	return r
}

func (r Refs) most(o Refs) Refs {
	for i := range r {
		r[i] = max(r[i], o[i])
	}
	return r
}

// A Position says what the published cells of one samples partition reflect,
// beside the samples below the committed offset. It is that offset's metadata.
type Position struct {
	Refs    Refs  // reference events below these offsets; ticks that name a horizon have been applied
	Horizon int64 // horizon in Unix ms, 0 = none yet
	Final   bool  // every window before the horizon is final
	Applied int64 // ticks that name a horizon and lie below this offset have been applied, and all of it published
	Topics  Topics
	Behind  Behind
}

// Behind says what of the cells does not reflect all that yet: see engine.Behind.
// Windows that begin before the first level are as of its base, those before the
// second as of that one's, and so on. Unused levels are zero.
type Behind struct {
	Levels int
	Level  [engine.MaxBehind]Level
}

// A Level is a large change that is being recomputed, from the newest window down.
type Level struct {
	Before  int64 // Unix ms: windows from here on have been published
	Samples int64 // the base: samples below this offset, and as in Position
	Refs    Refs
	Horizon int64
	Final   bool
}

// tops lists how far the levels from the k-th on have come.
func (b *Behind) tops(k int) []int64 {
	tops := make([]int64, 0, b.Levels)
	for i := k; i < b.Levels; i++ {
		tops = append(tops, b.Level[i].Before)
	}
	return tops
}

// follow takes over from the engine what is behind. base is what was published
// before this turn: what a new level is as of.
func (b *Behind) follow(tops []int64, base state) {
	was := b.Level[:b.Levels]
	next := Behind{Levels: len(tops)}
	if more := len(tops) - len(was); more > 0 {
		next.Level[0] = Level{Samples: base.offset, Refs: base.position.Refs, Horizon: base.position.Horizon, Final: base.position.Final}
		copy(next.Level[1:], was)
	} else {
		copy(next.Level[:], was[-more:])
	}
	for i, top := range tops {
		next.Level[i].Before = top
	}
	*b = next
}

// Topics are fingerprints of the topics that the offsets are of: of samples, and
// of the reference topics in the order of Refs. 0 = not known.
type Topics [1 + refCount]uint32

const (
	positionFormat = "gpumeter/2 refs=%d,%d,%d,%d,%d horizon=%d final=%t applied=%d topics=%d,%d,%d,%d,%d,%d"
	behindMark     = " behind="
	levelFormat    = "%d as=%d refs=%d,%d,%d,%d,%d horizon=%d final=%t"
)

// String is the metadata text: what `kafka-consumer-groups --describe` and
// other tools show, and what ParsePosition reads.
func (p Position) String() string {
	text := fmt.Sprintf(positionFormat, p.Refs[0], p.Refs[1], p.Refs[2], p.Refs[3], p.Refs[4], p.Horizon, p.Final, p.Applied,
		p.Topics[0], p.Topics[1], p.Topics[2], p.Topics[3], p.Topics[4], p.Topics[5])
	for _, l := range p.Behind.Level[:p.Behind.Levels] {
		text += behindMark + fmt.Sprintf(levelFormat, l.Before, l.Samples, l.Refs[0], l.Refs[1], l.Refs[2], l.Refs[3], l.Refs[4], l.Horizon, l.Final)
	}
	return text
}

// ParsePosition reads what String wrote, and nothing else.
func ParsePosition(text string) (Position, error) {
	var p Position
	parts := strings.Split(text, behindMark)
	_, err := fmt.Sscanf(parts[0], positionFormat, &p.Refs[0], &p.Refs[1], &p.Refs[2], &p.Refs[3], &p.Refs[4], &p.Horizon, &p.Final, &p.Applied,
		&p.Topics[0], &p.Topics[1], &p.Topics[2], &p.Topics[3], &p.Topics[4], &p.Topics[5])
	for _, part := range parts[1:] {
		if p.Behind.Levels == len(p.Behind.Level) {
			break // then it is not what String writes
		}
		l := &p.Behind.Level[p.Behind.Levels]
		p.Behind.Levels++
		_, failed := fmt.Sscanf(part, levelFormat, &l.Before, &l.Samples, &l.Refs[0], &l.Refs[1], &l.Refs[2], &l.Refs[3], &l.Refs[4], &l.Horizon, &l.Final)
		err = errors.Join(err, failed)
	}
	if err != nil || p.String() != text {
		return Position{}, fmt.Errorf("offset metadata %.100q is not a position of this processor: another program has committed to its group", text)
	}
	return p, nil
}

// topicOf reads from the metadata of an offset of samples or processes of which topic
// it is.
func topicOf(topic, metadata string) uint32 {
	if topic != samplesTopic() {
		return gap.ParseTopics(metadata)[topic]
	}
	position, err := ParsePosition(metadata)
	if err != nil {
		return 0 // as of an offset that a person has set
	}
	return position.Topics[0]
}

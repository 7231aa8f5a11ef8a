package letters

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gpumeter/gpumeter/schemas"
)

// How a letter can be retried.
type way int

const (
	notAtAll way = iota
	byRecord     // the record at its place is published again
	byLine       // the line that it holds is read again
)

// inputs are the streams that events come in on: sets, so that saying one twice
// changes nothing.
func inputs() []string {
	return []string{
		schemas.StreamSamples, schemas.StreamProcesses, schemas.StreamAllocations, schemas.StreamResources, schemas.StreamPrices, schemas.StreamTags,
	}
}

// A place is where a record stands.
type place struct {
	topic     string
	partition int32
	offset    int64
}

const placeFormat = "topic %s partition %d offset %d"

func parsePlace(text string) (p place, ok bool) {
	_, err := fmt.Sscanf(text, placeFormat, &p.topic, &p.partition, &p.offset)
	return p, err == nil && fmt.Sprintf(placeFormat, p.topic, p.partition, p.offset) == text && p.partition >= 0 && p.offset >= 0
}

// remedyFor says how l can be retried, and what to do in words.
func remedyFor(l *Letter) (way, string) {
	p, inKafka := parsePlace(l.Place)
	inKafka = inKafka && p.topic == schemas.Prefix+l.Stream
	switch {
	case isReport(l.Reason):
		return notAtAll, "nothing: it is kept and counts by itself as soon as what it lacks comes; send that"
	case l.Reason == schemas.ReasonGap:
		return notAtAll, "no record is left to retry: send the events again from their source if it has them, then drop the letter"
	case l.Reason == schemas.ReasonTooLate:
		return notAtAll, "it would be too late again: raise state.samples and restart the processors, or drop the letter"
	case inKafka && !slices.Contains(inputs(), l.Stream):
		return notAtAll, "made by gpumeter itself: published again it would be taken for newer than what came after it. Once it can be read, stop the group and set its offset back to this one (kafka-consumer-groups.sh --reset-offsets): storing twice is harmless"
	case inKafka && l.Reason == schemas.ReasonBadTime:
		return byRecord, "set the clock of that node; retry counts a time that was ahead and no longer is, anything else is to be dropped"
	case inKafka:
		return byRecord, "mend the cause, then retry: the record is published again from its place, while its topic keeps it"
	case !slices.Contains(inputs(), l.Stream) || !strings.Contains(l.Place, ":"):
		return notAtAll, "nothing to publish again: mend the cause and drop the letter"
	case len(l.Payload) >= schemas.MaxPayload:
		return notAtAll, fmt.Sprintf("the letter holds %d bytes of a longer line: mend the file and let a collector read it again, which changes nothing else", schemas.MaxPayload)
	}
	return byLine, "upgrade if a newer gpumeter reads the line, then retry; else mend the file and let a collector read it again"
}

package meter

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// streamOf is the stream whose topic this is.
func streamOf(topic string) string { return strings.TrimPrefix(topic, schemas.Prefix) }

// placeOf names a record as people look it up.
func placeOf(rec *kgo.Record) string {
	return fmt.Sprintf("topic %s partition %d offset %d", rec.Topic, rec.Partition, rec.Offset)
}

// corrupt is the letter of a record that cannot be decoded.
func corrupt(rec *kgo.Record, err error) schemas.DeadLetter {
	return schemas.DeadLetter{
		Stream: streamOf(rec.Topic), Place: placeOf(rec), Reason: schemas.ReasonCorrupt,
		Detail:  fmt.Sprintf("%v; find out who writes to this topic without the project's encoder", err),
		Payload: rec.Value[:min(len(rec.Value), schemas.MaxPayload)], Count: 1,
	}
}

// badTime is the letter of the rows of a record that rule 1 refuses.
func badTime(rec *kgo.Record, refused int64, first string) schemas.DeadLetter {
	return schemas.DeadLetter{
		Stream: streamOf(rec.Topic), Place: placeOf(rec), Reason: schemas.ReasonBadTime,
		Detail: fmt.Sprintf("%s is before 2010 or more than 10 minutes later than the broker's %d; set the clock of that node",
			first, rec.Timestamp.UnixMilli()),
		Count: refused,
	}
}

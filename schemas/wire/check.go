package wire

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// Check reads a record as one of its topic's stream and forgets the rows. An
// error wraps ErrCorrupt.
func Check(rec *kgo.Record) error {
	switch strings.TrimPrefix(rec.Topic, schemas.Prefix) {
	case schemas.StreamSamples:
		var d SampleDecoder
		return d.Decode(&schemas.Samples{}, rec)
	case schemas.StreamCost:
		var d CostDecoder
		defer d.Close()
		return d.Decode(&schemas.Costs{}, rec)
	case schemas.StreamProcesses:
		return readable[schemas.Process](rec)
	case schemas.StreamAllocations:
		return readable[schemas.Allocation](rec)
	case schemas.StreamResources:
		return readable[schemas.Resource](rec)
	case schemas.StreamPrices:
		return readable[schemas.Price](rec)
	case schemas.StreamTags:
		return readable[schemas.Tag](rec)
	case schemas.StreamTicks:
		return readable[schemas.Tick](rec)
	case schemas.StreamActivity:
		return readable[schemas.Activity](rec)
	case schemas.StreamFindings:
		return readable[schemas.Finding](rec)
	case schemas.StreamNotices:
		return readable[schemas.Notice](rec)
	case schemas.StreamDeadLetters:
		return readable[schemas.DeadLetter](rec)
	case schemas.StreamQuarantine:
		return readable[schemas.Quarantined](rec)
	}
	return corrupt("no stream has the topic %q", rec.Topic)
}

func readable[T Row](rec *kgo.Record) error {
	_, err := Decode[T](nil, rec)
	return err
}

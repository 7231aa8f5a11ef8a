package detect

import (
	"encoding/binary"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A Position says, beside the committed offset of an activity partition, what its
// detector was a function of. It is that offset's metadata.
type Position struct {
	From int64 // offset of the first record that it needs
	Seen int64 // newest instant that it was told of, Unix ms
	// Topic is a fingerprint of the topic that the offsets are of, 0 = not known.
	Topic uint32
}

const positionFormat = "gpumeter-detect/2 from=%d seen=%d topic=%d"

// String is the metadata text: what `kafka-consumer-groups --describe` and other
// tools show, and what ParsePosition reads.
func (p Position) String() string { return fmt.Sprintf(positionFormat, p.From, p.Seen, p.Topic) }

// ParsePosition reads what String wrote, and nothing else.
func ParsePosition(text string) (Position, error) {
	var p Position
	if _, err := fmt.Sscanf(text, positionFormat, &p.From, &p.Seen, &p.Topic); err != nil || p.String() != text {
		return Position{}, fmt.Errorf("offset metadata %.100q is not a position of this program: another one has committed to its group", text)
	}
	return p, nil
}

// topicOf reads from the metadata of an offset of which topic it is.
func topicOf(_, metadata string) uint32 {
	position, err := ParsePosition(metadata)
	if err != nil {
		return 0 // as of an offset that a person has set
	}
	return position.Topic
}

// decidedHeader of a finding's record is the offset of the activity record that led
// to it, in the partition of the same number: 8 bytes, little-endian; and the
// fingerprint of the topic that it counts in: 4 bytes more.
const decidedHeader = "decided"

func decided(offset int64, topic uint32) kgo.RecordHeader {
	value := binary.LittleEndian.AppendUint64(nil, uint64(offset))
	return kgo.RecordHeader{Key: decidedHeader, Value: binary.LittleEndian.AppendUint32(value, topic)}
}

// decidedAt reads the header; ok is false where it is missing, or of another topic.
func decidedAt(rec *kgo.Record, topic uint32) (offset int64, ok bool) {
	for i := range rec.Headers {
		if h := &rec.Headers[i]; h.Key == decidedHeader && len(h.Value) == 12 {
			return int64(binary.LittleEndian.Uint64(h.Value)), binary.LittleEndian.Uint32(h.Value[8:]) == topic
		}
	}
	return 0, false
}

package gap

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/gpumeter/gpumeter/schemas"
)

// Keeper is the topic beside whose offset a group keeps of which topics its offsets are.
// It is kept for ever, small, and every group may read it.
const Keeper = schemas.Prefix + schemas.StreamQuarantine

// Topics are fingerprints of topics, by name. 0 and none = not known.
type Topics map[string]uint32

const topicsHead = "gpumeter-topics/1"

// String is the metadata of an offset: what ParseTopics reads.
func (t Topics) String() string {
	var b strings.Builder
	b.WriteString(topicsHead)
	for _, topic := range slices.Sorted(maps.Keys(t)) {
		fmt.Fprintf(&b, " %s=%d", strings.TrimPrefix(topic, schemas.Prefix), t[topic])
	}
	return b.String()
}

// ParseTopics reads what String wrote. It knows nothing of any other text.
func ParseTopics(text string) Topics {
	parts := strings.Split(text, " ")
	if parts[0] != topicsHead {
		return nil
	}
	t := Topics{}
	for _, part := range parts[1:] {
		stream, number, _ := strings.Cut(part, "=")
		id, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return nil
		}
		t[schemas.Prefix+stream] = uint32(id)
	}
	return t
}

// Kept is what a group has kept of the topics that its offsets are of.
func Kept(committed kadm.OffsetResponses) Topics {
	o, _ := committed.Lookup(Keeper, 0)
	return ParseTopics(o.Metadata)
}

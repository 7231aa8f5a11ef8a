package sink

import (
	"fmt"

	"github.com/gpumeter/gpumeter/schemas"
)

// A place is where a group left a partition, and what the brokers have of it now.
type place struct {
	topic      string
	partition  int32
	committed  int64  // next record to read; negative: the group was never here
	of         string // id of the topic that committed counts in, "" = not known
	id         string // id of the topic now, "" = the brokers give none
	start, end int64  // of its records
}

// resume says where to read on. Where that is not where the group left off, the
// loss says why; it is never silent.
func (p place) resume() (from int64, lost *loss) {
	switch {
	case p.of != "" && p.id != "" && p.of != p.id:
		return p.start, &loss{place: p, kind: recreated}
	case p.committed < 0:
		return p.start, nil
	case p.committed < p.start:
		return p.start, &loss{place: p, kind: expired, records: p.start - p.committed}
	case p.committed > p.end:
		return p.start, &loss{place: p, kind: cut, records: p.committed - p.end}
	}
	return p.committed, nil
}

// Kinds of losses.
const (
	recreated = "recreated" // the topic was deleted and made again: what was not stored of the former is gone
	expired   = "expired"   // retention took records before they were stored
	cut       = "cut"       // brokers lost records that had been stored
)

// A loss is why a partition is not read on where it was left.
type loss struct {
	place
	kind    string
	records int64 // offsets that are gone, as far as is known
}

// final reports whether reading on would make newer facts lose against older
// ones: offsets are used again, and with them the versions of cells.
func (l *loss) final() bool {
	return l.kind == cut && l.topic == schemas.Prefix+schemas.StreamCost
}

func (l *loss) Error() string {
	at := fmt.Sprintf("%s/%d", l.topic, l.partition)
	switch {
	case l.kind == recreated:
		return fmt.Sprintf("%s: the topic was deleted and made again since offset %d was stored: what the sink had not stored of the former is lost; the new one is read from its start", at, l.committed)
	case l.kind == expired:
		return fmt.Sprintf("%s: retention took the records from offset %d to %d before they were stored: they are lost; what is left is read", at, l.committed, l.start)
	case l.final():
		return fmt.Sprintf("%s: ends at offset %d, but %d was stored: the brokers lost records and use their offsets again, so newer facts would lose against older ones. "+
			"Stop processors and sinks, delete the topic (kafka-topics.sh --bootstrap-server BROKER --delete --topic %s) and start them: the new topic gets a new generation, which wins", at, l.end, l.committed, l.topic)
	}
	return fmt.Sprintf("%s: ends at offset %d, but %d was stored: the brokers lost records; the partition is read from its start, which doubles nothing", at, l.end, l.committed)
}

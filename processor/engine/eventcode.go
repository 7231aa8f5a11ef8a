package engine

import (
	"encoding/binary"
	"errors"

	"github.com/gpumeter/gpumeter/schemas"
)

// The events of one allocation as bytes: how many, then field by field in the order
// of the declaration. The allocation's id is in the key.

var errEvents = errors.New("the events of an allocation do not end where they say")

func appendEvents(b []byte, events []told) []byte {
	b = binary.AppendUvarint(b, uint64(len(events)))
	for i := range events {
		b = appendEvent(b, &events[i].Allocation)
	}
	return b
}

func appendEvent(b []byte, a *schemas.Allocation) []byte {
	b = appendName(binary.AppendVarint(b, a.TS), a.Event)
	b = binary.AppendUvarint(appendBool(b, a.HasGPUs), uint64(len(a.GPUs)))
	for i := range a.GPUs {
		g := &a.GPUs[i]
		b = binary.AppendVarint(appendName(appendName(appendName(b, g.Node), g.GPU), g.Slice), int64(g.Share))
	}
	b = appendName(appendName(appendName(appendName(b, a.User), a.Name), a.Namespace), a.Image)
	b = binary.AppendUvarint(b, uint64(len(a.Command)))
	for _, c := range a.Command {
		b = appendName(b, c)
	}
	b = binary.AppendUvarint(appendBool(b, a.HasLabels), uint64(len(a.Labels)))
	for _, l := range a.Labels {
		b = appendName(appendName(b, l.Key), l.Value)
	}
	b = binary.AppendVarint(binary.AppendVarint(binary.AppendVarint(b, a.ReqGPUs), a.ReqWalltime), a.SubmittedAt)
	return appendName(b, a.State)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// A scanner takes bytes apart. After what it cannot read it returns zeros, and bad
// is true.
type scanner struct {
	b   []byte
	bad bool
}

func (s *scanner) spoil() {
	s.b, s.bad = nil, true
}

func (s *scanner) varint() int64 {
	v, size := binary.Varint(s.b)
	if size <= 0 {
		s.spoil()
		return 0
	}
	s.b = s.b[size:]
	return v
}

// count is how many things follow, each of at least one byte.
func (s *scanner) count() int {
	v, size := binary.Uvarint(s.b)
	if size <= 0 || v > uint64(len(s.b)-size) {
		s.spoil()
		return 0
	}
	s.b = s.b[size:]
	return int(v)
}

func (s *scanner) bool() bool {
	if len(s.b) == 0 {
		s.spoil()
		return false
	}
	v := s.b[0]
	s.b = s.b[1:]
	return v != 0
}

// bytes are a name's, valid as long as what is scanned is.
func (s *scanner) bytes() []byte {
	n := s.count()
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

func (s *scanner) name() string { return string(s.bytes()) }

// known is a name that many share: it is kept once.
func (s *scanner) known(t *texts) string {
	b := s.bytes()
	if id, ok := t.ids[string(b)]; ok {
		return t.all[id]
	}
	return t.all[t.of(string(b))]
}

// eventsOf takes apart what appendEvents made, for the allocation of this name. Their
// labels have no number yet.
func eventsOf(b []byte, name string, t *texts) ([]told, error) {
	s := &scanner{b: b}
	events := make([]told, s.count())
	for i := range events {
		s.event(&events[i].Allocation, t)
		events[i].Allocation.Allocation = name
	}
	if s.bad || len(s.b) > 0 {
		return nil, errEvents
	}
	return events, nil
}

func (s *scanner) event(a *schemas.Allocation, t *texts) {
	a.TS, a.Event = s.varint(), s.known(t)
	a.HasGPUs = s.bool()
	if n := s.count(); n > 0 {
		a.GPUs = make([]schemas.GPURef, n)
	}
	for i := range a.GPUs {
		a.GPUs[i] = schemas.GPURef{Node: s.known(t), GPU: s.known(t), Slice: s.known(t), Share: int32(s.varint())}
	}
	a.User, a.Name, a.Namespace, a.Image = s.known(t), s.name(), s.known(t), s.known(t)
	if n := s.count(); n > 0 {
		a.Command = make([]string, n)
	}
	for i := range a.Command {
		a.Command[i] = s.name()
	}
	a.HasLabels = s.bool()
	if n := s.count(); n > 0 {
		a.Labels = make([]schemas.Label, n)
	}
	for i := range a.Labels {
		a.Labels[i] = schemas.Label{Key: s.known(t), Value: s.name()}
	}
	a.ReqGPUs, a.ReqWalltime, a.SubmittedAt = s.varint(), s.varint(), s.varint()
	a.State = s.known(t)
}

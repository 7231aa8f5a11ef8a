package main

import "github.com/twmb/franz-go/pkg/kgo"

// messages are encoded records one behind the other, without a pointer for the
// garbage collector: in a processor they lie in Kafka.
type messages struct {
	bytes  []byte
	ends   []end // of each message
	record kgo.Record
}

// An end is where a message's parts end: the key and the header values, each behind
// its length in one byte, then the value.
type end struct{ head, value int }

func (m *messages) add(rec *kgo.Record) {
	if m.record.Headers == nil {
		m.record = kgo.Record{Topic: rec.Topic}
		for _, h := range rec.Headers {
			m.record.Headers = append(m.record.Headers, kgo.RecordHeader{Key: h.Key})
		}
	}
	m.part(rec.Key)
	for _, h := range rec.Headers {
		m.part(h.Value)
	}
	head := len(m.bytes)
	m.bytes = append(m.bytes, rec.Value...)
	m.ends = append(m.ends, end{head, len(m.bytes)})
}

func (m *messages) part(b []byte) { m.bytes = append(append(m.bytes, byte(len(b))), b...) }

// at is message i, valid until the next call.
func (m *messages) at(i int) *kgo.Record {
	from := 0
	if i > 0 {
		from = m.ends[i-1].value
	}
	next := func() []byte {
		part := m.bytes[from+1 : from+1+int(m.bytes[from])]
		from += 1 + len(part)
		return part
	}
	m.record.Key = next()
	for k := range m.record.Headers {
		m.record.Headers[k].Value = next()
	}
	m.record.Value = m.bytes[m.ends[i].head:m.ends[i].value]
	return &m.record
}

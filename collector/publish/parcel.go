package publish

import (
	"encoding/binary"
	"errors"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// A parcel is a record on its way to the brokers.
type parcel struct {
	record *kgo.Record
	stream string
	rows   int
}

// parcelVersion is the first byte of a parcel in the spool.
const parcelVersion = 1

var errParcel = errors.New("what the spool holds is not of this version")

// pack lays out what of a record is not known from its stream:
//
//	version 1 │ key │ number of headers │ name, value of each │ value
//
// Numbers are varints, texts but the last begin with their length. kgo marks no
// difference between an empty and an absent key that matters to us: no stream
// has empty keys.
func (p parcel) pack() []byte {
	r := p.record
	b := make([]byte, 1, 128+len(r.Key)+len(r.Value))
	b[0] = parcelVersion
	b = appendText(b, r.Key)
	b = binary.AppendUvarint(b, uint64(len(r.Headers)))
	for _, h := range r.Headers {
		b = appendText(appendText(b, []byte(h.Key)), h.Value)
	}
	return append(b, r.Value...)
}

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// unpack is the reverse of pack.
func unpack(stream string, rows int, b []byte) (parcel, error) {
	u := unpacker{b: b}
	if len(b) == 0 || b[0] != parcelVersion {
		return parcel{}, errParcel
	}
	u.b = b[1:]
	r := &kgo.Record{Topic: schemas.Prefix + stream}
	if key := u.text(); len(key) > 0 {
		r.Key = key
	}
	for n := u.number(); n > 0 && !u.bad; n-- {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: string(u.text()), Value: u.text()})
	}
	if r.Value = u.b; u.bad {
		return parcel{}, errParcel
	}
	return parcel{r, stream, rows}, nil
}

// An unpacker takes fields off the front of b.
type unpacker struct {
	b   []byte
	bad bool
}

func (u *unpacker) number() uint64 {
	n, size := binary.Uvarint(u.b)
	if size <= 0 {
		u.bad, u.b = true, nil
		return 0
	}
	u.b = u.b[size:]
	return n
}

func (u *unpacker) text() []byte {
	n := u.number()
	if n > uint64(len(u.b)) {
		u.bad, u.b = true, nil
		return nil
	}
	text := u.b[:n:n]
	u.b = u.b[n:]
	return text
}

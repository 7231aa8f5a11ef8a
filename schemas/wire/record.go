package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// Header keys. Integers are little-endian.
const (
	headerSchema = "schema" // 8 bytes: fingerprint of the Arrow schema
	headerRows   = "rows"   // 4 bytes: number of rows
	headerSum    = "crc32c" // 4 bytes: CRC-32C of the value
	headerLayout = "layout" // samples: a letter a column
	headerBase   = "base"   // samples: 8 bytes: the instant that ts counts from, Unix ms
)

// Limits that no honest writer reaches.
const (
	maxValue = 16 << 20 // bytes of a value, compressed or not
	maxRows  = 1 << 20

	maxSeries = 1 << 16
	maxFacts  = 1 << 17 // rows of cost: they have some 45 columns
	maxEvents = 1 << 16 // rows of a low-rate stream: structs with texts
)

// ErrCorrupt is wrapped by every error of a decoder: the record cannot be read,
// now or later.
var ErrCorrupt = errors.New("record is damaged or not of this stream")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrCorrupt}, args...)...)
}

// record seals a value: topic, checksum, row count, schema fingerprint.
func record(stream, key string, value []byte, rows int, fingerprint uint64) (*kgo.Record, error) {
	if len(value) > maxValue || rows > maxRows {
		return nil, fmt.Errorf("batch of %s has %d rows and %d bytes, more than %d rows or %d bytes: send smaller batches", stream, rows, len(value), maxRows, maxValue)
	}
	r := &kgo.Record{
		Topic: schemas.Prefix + stream,
		Value: value,
		Headers: []kgo.RecordHeader{
			{Key: headerSchema, Value: binary.LittleEndian.AppendUint64(nil, fingerprint)},
			{Key: headerRows, Value: binary.LittleEndian.AppendUint32(nil, uint32(rows))},
			{Key: headerSum, Value: binary.LittleEndian.AppendUint32(nil, checksum(value))},
		},
	}
	if key != "" {
		r.Key = []byte(key)
	}
	return r, nil
}

// open checks the seal of rec and gives its row count.
func open(rec *kgo.Record) (rows int, err error) {
	if len(rec.Value) > maxValue {
		return 0, corrupt("value of %d bytes, more than %d", len(rec.Value), maxValue)
	}
	sum, ok := header(rec, headerSum, 4)
	if !ok {
		return 0, corrupt("no %q header of 4 bytes", headerSum)
	}
	if want, got := binary.LittleEndian.Uint32(sum), checksum(rec.Value); want != got {
		return 0, corrupt("checksum of the value is %08x, the header says %08x", got, want)
	}
	n, ok := header(rec, headerRows, 4)
	if !ok {
		return 0, corrupt("no %q header of 4 bytes", headerRows)
	}
	if rows := binary.LittleEndian.Uint32(n); rows <= maxRows {
		return int(rows), nil
	}
	return 0, corrupt("%d rows, more than %d", binary.LittleEndian.Uint32(n), maxRows)
}

// header finds a header; size < 0 takes any.
func header(rec *kgo.Record, key string, size int) ([]byte, bool) {
	for i := range rec.Headers {
		if h := &rec.Headers[i]; h.Key == key {
			return h.Value, size < 0 || len(h.Value) == size
		}
	}
	return nil, false
}

func checksum(b []byte) uint32 {
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

// fingerprint is the 64-bit FNV-1a of schemas as text: names, types, order.
func fingerprint(schemas ...*arrow.Schema) uint64 {
	h := fnv.New64a()
	for _, s := range schemas {
		_, _ = h.Write([]byte(s.String()))
	}
	return h.Sum64()
}

// newCompressor is a single-threaded zstd encoder for EncodeAll, with further
// options.
func newCompressor(level zstd.EncoderLevel, options ...zstd.EOption) (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, append(options, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))...)
}

// newDecompressor is a single-threaded zstd decoder for DecodeAll that refuses
// to grow beyond maxValue.
func newDecompressor() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxValue), zstd.WithDecodeAllCapLimit(false))
}

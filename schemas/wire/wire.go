package wire

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
)

// Row is a row of a low-rate stream.
type Row interface {
	schemas.Allocation | schemas.Resource | schemas.Price | schemas.Tag | schemas.Tick | schemas.Process | schemas.DeadLetter
}

// Encode makes one record of rows. It sets Topic, Key, Value and Headers.
func Encode[T Row](key string, rows []T) (*kgo.Record, error) { panic("not written yet") }

// Decode appends the rows of rec to dst. Damaged or hostile bytes are an error.
func Decode[T Row](dst []T, rec *kgo.Record) ([]T, error) { panic("not written yet") }

// SampleEncoder encodes batches of samples; it keeps its buffers. Not for concurrent use.
type SampleEncoder struct{}

// Encode makes one record of s, keyed by node. It may reorder the rows of s.
func (e *SampleEncoder) Encode(s *schemas.Samples) (*kgo.Record, error) { panic("not written yet") }

// SampleDecoder decodes batches of samples; it keeps its buffers. Not for concurrent use.
type SampleDecoder struct{}

// Decode replaces what s holds by the rows of rec. s is valid until the next call.
func (d *SampleDecoder) Decode(s *schemas.Samples, rec *kgo.Record) error { panic("not written yet") }

// CostEncoder encodes batches of cost facts. Not for concurrent use.
type CostEncoder struct{}

// Encode makes one record of c. The caller sets Key and Partition.
func (e *CostEncoder) Encode(c *schemas.Costs) (*kgo.Record, error) { panic("not written yet") }

// CostDecoder decodes batches of cost facts. Not for concurrent use.
type CostDecoder struct{}

// Decode replaces what c holds by the rows of rec. c is valid until the next call.
func (d *CostDecoder) Decode(c *schemas.Costs, rec *kgo.Record) error { panic("not written yet") }

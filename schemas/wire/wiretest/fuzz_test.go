package wiretest

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// fuzz reads any value as a record of the stream, under a right checksum and
// under the one of a good record.
func fuzz(f *testing.F, stream string) {
	all, err := Records()
	if err != nil {
		f.Fatal(err)
	}
	good := all[stream]
	f.Add(good.Value)
	m, err := NewMutator(seedOf(stream))
	if err != nil {
		f.Fatal(err)
	}
	for range 20 {
		f.Add(m.Mutate(good).Value)
	}
	if err := m.Close(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		rec := &kgo.Record{Topic: good.Topic, Key: good.Key, Value: value}
		for _, h := range good.Headers {
			rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
		}
		for range 2 {
			if err := wire.Check(rec); err != nil && !errors.Is(err, wire.ErrCorrupt) {
				t.Fatalf("an error that is not ErrCorrupt: %v", err)
			}
			Reseal(rec)
		}
	})
}

func FuzzProcesses(f *testing.F)   { fuzz(f, schemas.StreamProcesses) }
func FuzzResources(f *testing.F)   { fuzz(f, schemas.StreamResources) }
func FuzzPrices(f *testing.F)      { fuzz(f, schemas.StreamPrices) }
func FuzzTags(f *testing.F)        { fuzz(f, schemas.StreamTags) }
func FuzzTicks(f *testing.F)       { fuzz(f, schemas.StreamTicks) }
func FuzzActivity(f *testing.F)    { fuzz(f, schemas.StreamActivity) }
func FuzzFindings(f *testing.F)    { fuzz(f, schemas.StreamFindings) }
func FuzzNotices(f *testing.F)     { fuzz(f, schemas.StreamNotices) }
func FuzzDeadLetters(f *testing.F) { fuzz(f, schemas.StreamDeadLetters) }
func FuzzQuarantine(f *testing.F)  { fuzz(f, schemas.StreamQuarantine) }

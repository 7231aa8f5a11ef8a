package wiretest

import (
	"errors"
	"hash/fnv"
	"maps"
	"runtime"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/gpumeter/gpumeter/schemas"
	"github.com/gpumeter/gpumeter/schemas/wire"
)

// mutants is how many damaged records each topic gets.
const mutants = 10_000

// Each of 10,000 damaged records of each stream is read, or refused as corrupt;
// none takes much memory; a decoder that has seen them reads a good record as it
// did before.
func TestMutants(t *testing.T) {
	good, err := Records()
	if err != nil {
		t.Fatal(err)
	}
	if len(good) != len(schemas.Streams()) {
		t.Fatalf("records of %d streams, there are %d", len(good), len(schemas.Streams()))
	}
	for _, stream := range slices.Sorted(maps.Keys(good)) {
		t.Run(stream, func(t *testing.T) {
			rec := good[stream]
			m, err := NewMutator(seedOf(stream))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			var samples wire.SampleDecoder
			var costs wire.CostDecoder
			defer costs.Close()
			read := func(rec *kgo.Record) error { // one decoder for all, as readers have it
				switch stream {
				case schemas.StreamSamples:
					return samples.Decode(&schemas.Samples{}, rec)
				case schemas.StreamCost:
					return costs.Decode(&schemas.Costs{}, rec)
				}
				return wire.Check(rec)
			}
			refused, greatest := 0, uint64(0)
			for i := range mutants {
				bad := m.Mutate(rec)
				var err error
				if i%100 == 0 {
					greatest = max(greatest, allocated(func() { err = read(bad) }))
				} else {
					err = read(bad)
				}
				if err != nil {
					if refused++; !errors.Is(err, wire.ErrCorrupt) {
						t.Fatalf("mutant %d: an error that is not ErrCorrupt: %v", i, err)
					}
				}
				if i%100 == 0 && read(rec) != nil {
					t.Fatalf("after mutant %d the good record is not read", i)
				}
			}
			if refused < mutants/4 || refused == mutants {
				t.Errorf("%d of %d refused: the mutants are too mild or too wild", refused, mutants)
			}
			if greatest > 64<<20 {
				t.Errorf("a mutant took %d bytes", greatest)
			}
			t.Logf("%d of %d refused, at most %d KiB allocated for one", refused, mutants, greatest>>10)
		})
	}
}

func seedOf(stream string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(stream))
	return h.Sum64()
}

// allocated is how many bytes fn allocates.
func allocated(fn func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fn()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

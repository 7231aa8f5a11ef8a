package contract

import (
	"math"

	"github.com/gpumeter/gpumeter/schemas"
)

// A Batch collects samples of one node into columns. The zero value is ready.
type Batch struct {
	schemas.Samples
	series map[schemas.Series]uint16
}

// Add appends s. It reports false, and adds nothing, when s is of another node
// or the batch cannot number one more series: send the batch and Reset it.
func (b *Batch) Add(s *Sample) bool {
	if b.Len() == 0 {
		b.Node = s.Node
	}
	if b.Node != s.Node {
		return false
	}
	index, ok := b.series[s.Series]
	if !ok {
		if len(b.Series) > math.MaxUint16 {
			return false
		}
		if b.series == nil {
			b.series = map[schemas.Series]uint16{}
		}
		index = uint16(len(b.Series))
		b.series[s.Series] = index
		b.Series = append(b.Series, s.Series)
	}
	b.Index, b.TS = append(b.Index, index), append(b.TS, s.TS)
	b.Utilization, b.SMActive = append(b.Utilization, s.Utilization), append(b.SMActive, s.SMActive)
	b.TensorActive, b.DRAMActive = append(b.TensorActive, s.TensorActive), append(b.DRAMActive, s.DRAMActive)
	b.MemoryUsed, b.Power = append(b.MemoryUsed, s.MemoryUsed), append(b.Power, s.Power)
	b.Energy, b.Temperature = append(b.Energy, s.Energy), append(b.Temperature, s.Temperature)
	return true
}

// Reset empties b and keeps its capacity.
func (b *Batch) Reset() {
	b.Samples.Reset()
	clear(b.series)
}

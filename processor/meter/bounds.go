package meter

import (
	"fmt"

	"github.com/gpumeter/gpumeter/schemas"
)

// Rule 1: an event exists from 2010 on, and at most ten minutes later than the
// broker's append time of its record.
const (
	firstInstant = 1_262_304_000_000 // 2010-01-01T00:00:00Z in Unix ms
	maxAhead     = 10 * 60 * 1000    // ms
)

func inBounds(ts, appended int64) bool { return ts >= firstInstant && ts <= appended+maxAhead }

// cutSamples takes the rows that rule 1 refuses out of b. It returns how many
// they were, and names the first of them.
func cutSamples(b *schemas.Samples, appended int64) (refused int64, first string) {
	keep := make([]int, 0, 16)
	for i, ts := range b.TS {
		if inBounds(ts, appended) {
			if refused > 0 {
				keep = append(keep, i)
			}
			continue
		}
		if refused++; refused > 1 {
			continue
		}
		first = fmt.Sprintf("row %d of node %q, gpu %q: ts %d", i, b.Node, seriesOf(b, i), ts)
		for k := range i { // all before it are good
			keep = append(keep, k)
		}
	}
	if refused > 0 {
		pickSamples(b, keep)
	}
	return refused, first
}

func seriesOf(b *schemas.Samples, row int) string {
	if s := int(b.Index[row]); s < len(b.Series) {
		return b.Series[s].GPU
	}
	return ""
}

// pickSamples keeps the rows of b that keep names, in order.
func pickSamples(b *schemas.Samples, keep []int) {
	b.Index, b.TS = pick(b.Index, keep), pick(b.TS, keep)
	b.Utilization, b.SMActive = pick(b.Utilization, keep), pick(b.SMActive, keep)
	b.TensorActive, b.DRAMActive = pick(b.TensorActive, keep), pick(b.DRAMActive, keep)
	b.MemoryUsed, b.Power = pick(b.MemoryUsed, keep), pick(b.Power, keep)
	b.Energy, b.Temperature = pick(b.Energy, keep), pick(b.Temperature, keep)
}

func pick[T any](column []T, keep []int) []T {
	for to, from := range keep {
		column[to] = column[from]
	}
	return column[:len(keep)]
}

// cutRows takes the rows that rule 1 refuses out of rows, in place, and names
// the first of them.
func cutRows[T any](rows []T, appended int64, ts func(*T) int64) (kept []T, refused int64, first string) {
	kept = rows[:0]
	for i := range rows {
		at := ts(&rows[i])
		if inBounds(at, appended) {
			kept = append(kept, rows[i])
			continue
		}
		if refused++; refused == 1 {
			first = fmt.Sprintf("row %d: ts %d", i, at)
		}
	}
	return kept, refused, first
}

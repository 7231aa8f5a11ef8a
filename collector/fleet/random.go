package fleet

import "math/rand/v2"

// mix hashes numbers into one (splitmix64's finaliser over each). What is drawn
// for one place does not depend on what was drawn for another before.
func mix(values ...uint64) uint64 {
	h := uint64(0x9e3779b97f4a7c15)
	for _, v := range values {
		h ^= v
		h ^= h >> 30
		h *= 0xbf58476d1ce4e5b9
		h ^= h >> 27
		h *= 0x94d049bb133111eb
		h ^= h >> 31
		h += 0x9e3779b97f4a7c15
	}
	return h
}

// What is drawn, as the second number of mix after the seed.
const (
	drawIDs = iota + 1
	drawLayout
	drawSlot
	drawFault
	drawTwin
)

// A dice draws for one place.
type dice struct{ *rand.Rand }

func roll(values ...uint64) dice { return dice{rand.New(rand.NewPCG(mix(values...), 0))} }

// seconds draws whole seconds from lo to hi, as milliseconds.
func (d dice) seconds(lo, hi int64) int64 { return 1000 * (lo + d.Int64N(hi-lo+1)) }

// minutes draws from lo to hi minutes, to the second, as milliseconds.
func (d dice) minutes(lo, hi int64) int64 { return d.seconds(60*lo, 60*hi) }

// one is true once in n times.
func (d dice) one(n int) bool { return d.IntN(n) == 0 }

// pick draws one of the items.
func pick[T any](d dice, items []T) T { return items[d.IntN(len(items))] }

// unit is a hash as a number in [0, 1).
func unit(h uint64) float64 { return float64(h>>11) / (1 << 53) }

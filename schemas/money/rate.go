package money

import "math/bits"

// Whole is a whole GPU in positions: millionths of a GPU.
const Whole = 1_000_000

// Hour is the period of a price, in milliseconds.
const Hour = 3_600_000

// A Rate is an amount per period of a whole resource of n GPUs. With x in
// millionths of a GPU, 0 to n x Whole, and t in milliseconds of the period,
// R(x, t) = floor(amount x·t / (Whole·n·period)).
type Rate struct {
	magnitude uint64
	negative  bool
	divisor   uint64
}

// NewRate spreads amount nano-units over gpus GPUs and period milliseconds. gpus
// is 1 to 4294 (a position has 32 bits), period 1 ms to 2^32 ms (49 days);
// within these, no step overflows. Outside them the rate is zero.
func NewRate(amount int64, gpus int, period int64) Rate {
	const maxGPUs, maxPeriod = 4294, 1 << 32
	if gpus < 1 || gpus > maxGPUs || period < 1 || period > maxPeriod {
		return Rate{divisor: 1}
	}
	r := Rate{magnitude: uint64(amount), divisor: Whole * uint64(gpus) * uint64(period)}
	if amount < 0 {
		r.magnitude, r.negative = -r.magnitude, true
	}
	return r
}

// at is R(x, t). The quotient fits 64 bits because x·t is at most the divisor.
func (r Rate) at(x, t uint64) int64 {
	hi, lo := bits.Mul64(r.magnitude, x*t)
	if hi >= r.divisor {
		return 0 // x or t lies outside the resource: there is nothing to pay for
	}
	q, rest := bits.Div64(hi, lo, r.divisor)
	if !r.negative {
		return int64(q)
	}
	if rest != 0 {
		q++ // floor, not truncation
	}
	return -int64(q)
}

// Cost is what positions [x0, x1) cost over [t0, t1) milliseconds of the period,
// in nano-units. A tiny rectangle may cost -1.
func (r Rate) Cost(x0, x1 uint32, t0, t1 int64) int64 {
	cost := r.at(uint64(x1), uint64(t1)) - r.at(uint64(x1), uint64(t0))
	if x0 == 0 {
		return cost
	}
	return cost - r.at(uint64(x0), uint64(t1)) + r.at(uint64(x0), uint64(t0))
}

// Millis is the GPU-milliseconds of positions [x0, x1) over [t0, t1), by
// G(x, t) = floor(x·t / Whole). A tiny rectangle may have -1.
func Millis(x0, x1 uint32, t0, t1 int64) int64 {
	g := func(x uint32, t int64) int64 { return int64(uint64(x) * uint64(t) / Whole) }
	return g(x1, t1) - g(x0, t1) - g(x1, t0) + g(x0, t0)
}

// Part is floor(v x ppm / 10^6), floor also below zero; ppm is at most 10^6.
func Part(v int64, ppm uint32) int64 {
	return NewRate(v, 1, 1).at(uint64(ppm), 1)
}

package verify

import "math/big"

// loads narrows lo..hi, in ppm, to the loads a with floor(whole x a / 10^6) =
// used. That is monotonous in a, so both ends are found by halving.
func loads(lo, hi, whole, used int64) (int64, int64) {
	if whole < 0 {
		// floor(-w x a) falls with a: what is searched from below comes from above.
		first := search(lo, hi, func(a int64) bool { return part(whole, a) <= used })
		last := search(lo, hi, func(a int64) bool { return part(whole, a) < used })
		return first, last - 1
	}
	first := search(lo, hi, func(a int64) bool { return part(whole, a) >= used })
	last := search(lo, hi, func(a int64) bool { return part(whole, a) > used })
	return first, last - 1
}

// search is the least a of lo..hi for which reached is true, hi+1 when there is none.
func search(lo, hi int64, reached func(int64) bool) int64 {
	for end := hi + 1; lo < end; {
		if middle := lo + (end-lo)/2; reached(middle) {
			end = middle
		} else {
			lo = middle + 1
		}
	}
	return lo
}

// part is floor(whole x a / 10^6).
func part(whole, a int64) int64 {
	product := new(big.Int).Mul(big.NewInt(whole), big.NewInt(a))
	return product.Div(product, big.NewInt(million)).Int64()
}

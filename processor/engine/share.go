package engine

import "github.com/gpumeter/gpumeter/schemas/money"

// bounds is rule 5: holder i has [bounds[i], bounds[i+1]) of the GPU, in ppm; what
// is behind the last bound is left over. shares are in holder order, 0 = not
// given. To divide equally without a remainder, everything is counted in m-ths of
// a ppm, m being the number of holders without share.
func bounds(dst []uint32, shares []int32) []uint32 {
	var given, without uint64
	for _, s := range shares {
		if s == 0 {
			without++
		}
		given += uint64(s)
	}
	scale := max(1, without)
	equal := uint64(0)
	if given < money.Whole {
		equal = money.Whole - given
	}
	total := max(money.Whole*scale, given*scale+equal*without)
	dst = append(dst, 0)
	var sum uint64
	for _, s := range shares {
		if s == 0 {
			sum += equal
		} else {
			sum += uint64(s) * scale
		}
		dst = append(dst, uint32(money.Whole*sum/total))
	}
	return dst
}

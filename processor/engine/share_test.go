package engine

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name   string
		shares []int32
		want   []uint32
	}{
		{"alone", []int32{0}, []uint32{0, 1_000_000}},
		{"three equal ones", []int32{0, 0, 0}, []uint32{0, 333_333, 666_666, 1_000_000}},
		{"a given one and the rest", []int32{250_000, 0}, []uint32{0, 250_000, 1_000_000}},
		{"a given one leaves a rest", []int32{250_000}, []uint32{0, 250_000}},
		{"given ones above the whole are scaled", []int32{900_000, 600_000}, []uint32{0, 600_000, 1_000_000}},
		{"nothing left for the equal ones", []int32{900_000, 0, 600_000}, []uint32{0, 600_000, 600_000, 1_000_000}},
		{"thirds of what one leaves", []int32{0, 100_000, 0, 0}, []uint32{0, 300_000, 400_000, 700_000, 1_000_000}},
		{"sevenths of a device", []int32{428_571, 571_428}, []uint32{0, 428_571, 999_999}},
	} {
		if got := bounds(nil, c.shares); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// The bounds are those of docs/rules.md in numbers of any size.
func TestBoundsAreTheRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := rapid.SliceOfN(rapid.OneOf(rapid.Just(int32(0)), rapid.Int32Range(1, 1_000_000)), 1, 12).Draw(t, "shares")
		m, given := int64(0), int64(0)
		for _, s := range shares {
			if s == 0 {
				m++
			}
			given += int64(s)
		}
		var weights []*big.Int
		total := new(big.Int)
		for _, s := range shares {
			w := big.NewInt(int64(s) * max(1, m))
			if s == 0 {
				w = big.NewInt(max(0, 1_000_000-given))
			}
			weights = append(weights, w)
			total.Add(total, w)
		}
		if least := big.NewInt(1_000_000 * max(1, m)); total.Cmp(least) < 0 {
			total = least
		}
		got, sum := bounds(nil, shares), new(big.Int)
		for i, w := range weights {
			sum.Add(sum, w)
			want := new(big.Int).Mul(sum, big.NewInt(1_000_000))
			if want.Div(want, total); int64(got[i+1]) != want.Int64() {
				t.Fatalf("bound %d of %v is %d, want %d", i+1, shares, got[i+1], want)
			}
		}
	})
}

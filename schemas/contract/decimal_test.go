package contract

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDecimal(t *testing.T) {
	for _, c := range []struct {
		text    string
		scale   int
		halfUp  int64
		floor   int64
		atMost1 bool // of one in that scale
	}{
		{"0", 6, 0, 0, true},
		{"-0", 6, 0, 0, true},
		{"-0.000", 6, 0, 0, true},
		{"1", 6, 1_000_000, 1_000_000, true},
		{"1e-3", 6, 1000, 1000, true},
		{"1E-3", 6, 1000, 1000, true},
		{"0.001e+3", 6, 1_000_000, 1_000_000, true},
		{"0.4285714", 6, 428_571, 428_571, true},
		{"0.4285715", 6, 428_572, 428_571, true}, // half goes up
		{"0.42857149999999999999999999999", 6, 428_571, 428_571, true},
		{"0.0000005", 6, 1, 0, true},
		{"0.00000049", 6, 0, 0, true},
		{"1.0000001", 6, 1_000_000, 1_000_000, false}, // rounds to 1 but is more
		{"0.9999999", 6, 1_000_000, 999_999, true},    // rounds to 1 and is less
		{"-1.5", 0, -1, -2, true},                     // half up: towards positive infinity
		{"-1.500001", 0, -2, -2, true},
		{"-0.4", 0, 0, -1, true},
		{"16.80", 9, 16_800_000_000, 16_800_000_000, false},
		{"0e999999999999999999999", 6, 0, 0, true},
		{"1e-999999999999999999999", 6, 0, 0, true},
		{"9223372036854775806", 0, math.MaxInt64 - 1, math.MaxInt64 - 1, false},
		{"0." + strings.Repeat("0", 400) + "1e400", 6, 100_000, 100_000, true},
	} {
		d, ok := parseDecimal([]byte(c.text), c.scale)
		if !ok {
			t.Errorf("%s is refused", c.text)
			continue
		}
		up, upOK := d.halfUp()
		down, downOK := d.floor()
		if !upOK || !downOK || up != c.halfUp || down != c.floor {
			t.Errorf("%s by 10^%d: half up %d (%v), floor %d (%v), want %d and %d", c.text, c.scale, up, upOK, down, downOK, c.halfUp, c.floor)
		}
		if limit := uint64(math.Pow10(c.scale)); d.atMost(limit) != c.atMost1 {
			t.Errorf("%s at most 1: %v", c.text, !c.atMost1)
		}
	}
}

func TestDecimalRefuses(t *testing.T) {
	for _, text := range []string{"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x10", "NaN", "Infinity", "1_000", "1,5", " 1", "1 ", "--1", "1e1.5"} {
		if d, ok := parseDecimal([]byte(text), 6); ok {
			t.Errorf("%q is read as %+v", text, d)
		}
	}
	for _, text := range []string{"9223372036854775808", "1e30", "1e999999999999", "18446744073709551616", "-1e20"} {
		d, ok := parseDecimal([]byte(text), 0)
		if v, fits := d.halfUp(); !ok || fits {
			t.Errorf("%s fits as %d", text, v)
		}
	}
}

// TestDecimalIsExact compares with math/big, which has all the digits.
func TestDecimalIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,14})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		scale := rapid.SampledFrom([]int{0, 3, 6, 9}).Draw(t, "scale")
		exact, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("math/big does not read %q", text)
		}
		exact.Mul(exact, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		d, ok := parseDecimal([]byte(text), scale)
		if !ok {
			t.Fatalf("%q is refused", text)
		}
		check(t, "floor", floorRat(exact), d.floor)
		half := new(big.Rat).Add(exact, big.NewRat(1, 2))
		check(t, "half up", floorRat(half), d.halfUp)
		limit := rapid.Uint64Max(1e12).Draw(t, "limit")
		if want := exact.Cmp(new(big.Rat).SetInt(new(big.Int).SetUint64(limit))) <= 0; d.atMost(limit) != want {
			t.Fatalf("at most %d: %v, want %v", limit, !want, want)
		}
	})
}

func floorRat(r *big.Rat) *big.Int {
	q, m := new(big.Int).DivMod(r.Num(), r.Denom(), new(big.Int))
	_ = m // DivMod is Euclidean: with a positive denominator that is the floor
	return q
}

func check(t *rapid.T, what string, want *big.Int, got func() (int64, bool)) {
	t.Helper()
	v, ok := got()
	// The last two values of the range are given up for a simple test of overflow.
	fits := want.IsInt64() && want.CmpAbs(big.NewInt(math.MaxInt64-1)) < 0
	if fits && (!ok || v != want.Int64()) || ok && fmt.Sprint(v) != want.String() {
		t.Fatalf("%s: %d (%v), want %v", what, v, ok, want)
	}
}

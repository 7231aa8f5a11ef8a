package money

import (
	"math/big"
	"strings"
	"testing"
)

// What is accepted is the exact number, rounded half up to nano-units.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"0", "-16.80", "3.9999999995", "-0.0000000005", "9223372036.854775807", "-9223372036.854775808", "1e3", "+1", ".5", "5.", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Parse(text)
		if err != nil {
			return
		}
		exact, ok := new(big.Rat).SetString(text)
		if !ok || strings.ContainsAny(text, "eE/+_") {
			t.Fatalf("%q is no decimal, but %d", text, got)
		}
		scaled := exact.Mul(exact, big.NewRat(Nano, 1))
		scaled.Add(scaled, big.NewRat(1, 2))
		if want := new(big.Int).Div(scaled.Num(), scaled.Denom()); want.Cmp(big.NewInt(got)) != 0 {
			t.Fatalf("%q is %d, want %v", text, got, want)
		}
	})
}

package demo

import (
	"fmt"
	"strings"
)

// Nano is money in nano-units of its currency.
type Nano int64

// String is n in units with two decimals, half away from zero, in groups of
// three digits.
func (n Nano) String() string {
	const cent = 10_000_000
	sign := ""
	if n < 0 {
		sign, n = "-", -n
	}
	cents := (int64(n) + cent/2) / cent
	return fmt.Sprintf("%s%s.%02d", sign, grouped(cents/100), cents%100)
}

// grouped writes n, which is not negative, in groups of three digits.
func grouped(n int64) string {
	digits := fmt.Sprint(n)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

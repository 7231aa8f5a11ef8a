package money

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
)

// Nano is one unit of a currency in nano-units.
const Nano = 1_000_000_000

const places = 9

var errDecimal = errors.New("not a decimal amount: write it like -12.345678901")

var errRange = errors.New("amount out of range: at most 9223372036.854775807")

// Parse reads a decimal amount like -16.80 as nano-units. More than nine
// decimals are rounded half up (towards plus infinity at the half). Exponents
// and signs other than a leading minus are errors, as is what exceeds an int64.
func Parse(s string) (int64, error) {
	digits, negative := s, false
	if len(s) > 0 && s[0] == '-' {
		digits, negative = s[1:], true
	}
	whole, fraction := digits, ""
	for i := range len(digits) {
		if digits[i] == '.' {
			whole, fraction = digits[:i], digits[i+1:]
			break
		}
	}
	if whole == "" || !onlyDigits(whole) || !onlyDigits(fraction) || len(fraction) == 0 && len(whole) != len(digits) {
		return 0, errDecimal
	}
	var v uint64
	var ok bool
	if v, ok = shift(0, whole); !ok {
		return 0, errRange
	}
	kept := fraction[:min(len(fraction), places)]
	if v, ok = shift(v, kept+"000000000"[len(kept):]); !ok {
		return 0, errRange
	}
	return signed(v, negative, fraction[len(kept):])
}

// shift appends decimal digits to v; false when the result exceeds 64 bits.
func shift(v uint64, digits string) (uint64, bool) {
	for i := range len(digits) {
		hi, lo := bits.Mul64(v, 10)
		sum, carry := bits.Add64(lo, uint64(digits[i]-'0'), 0)
		if hi != 0 || carry != 0 {
			return 0, false
		}
		v = sum
	}
	return v, true
}

// signed applies the sign and rounds by the digits that were cut off.
func signed(v uint64, negative bool, rest string) (int64, error) {
	if roundsAway(rest, negative) {
		v++
	}
	limit := uint64(math.MaxInt64)
	if negative {
		limit++
	}
	if v > limit {
		return 0, errRange
	}
	if negative {
		return -int64(v), nil
	}
	return int64(v), nil
}

// roundsAway tells whether the cut digits move the magnitude up: from one half
// on above zero, beyond one half below it.
func roundsAway(rest string, negative bool) bool {
	if rest == "" || rest[0] < '5' {
		return false
	}
	if !negative || rest[0] > '5' {
		return true
	}
	for i := 1; i < len(rest); i++ {
		if rest[i] != '0' {
			return true
		}
	}
	return false
}

func onlyDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Append appends nano as a decimal with nine places.
func Append(dst []byte, nano int64) []byte {
	v := uint64(nano)
	if nano < 0 {
		dst, v = append(dst, '-'), -v
	}
	dst = strconv.AppendUint(dst, v/Nano, 10)
	dst = append(dst, '.')
	rest := v % Nano
	for unit := uint64(Nano / 10); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+rest/unit%10))
	}
	return dst
}

// Format is nano as a decimal with nine places, like 16.800000000.
func Format(nano int64) string { return string(Append(nil, nano)) }

package contract

import "math"

// A decimal is a number of a line, scaled to a column's unit: its magnitude is
// whole + rest, where rest says on which side of one half the fraction lies.
// Keeping the two apart lets a caller test bounds on the number as it was
// written and round only then.
type decimal struct {
	negative bool
	whole    uint64
	rest     rest
	over     bool // whole does not fit
}

type rest uint8

const (
	restNone rest = iota
	restBelowHalf
	restHalf
	restAboveHalf
)

// parseDecimal scales the decimal number text by 10^scale. ok is false when
// text is not a number as JSON writes it.
func parseDecimal(text []byte, scale int) (d decimal, ok bool) {
	end, ok := numberEnd(text)
	if !ok || end != len(text) {
		return decimal{}, false
	}
	return scaled(text, scale), true
}

// scaled is parseDecimal of a text that is known to be a number.
func scaled(text []byte, scale int) (d decimal) {
	if text[0] == '-' {
		d.negative, text = true, text[1:]
	}
	mantissa, exponent := splitExponent(text)
	d.digits(mantissa, integerDigits(mantissa)+exponent+scale)
	if d.whole == 0 && d.rest == restNone && !d.over {
		d.negative = false // minus zero is zero
	}
	return d
}

// splitExponent cuts "12.5e3" into "12.5" and 3. An exponent that no line can
// outweigh with digits is cut to one that still decides the result.
func splitExponent(number []byte) (mantissa []byte, exponent int) {
	const enough = 1 << 30
	for i, c := range number {
		if c != 'e' && c != 'E' {
			continue
		}
		negative := false
		for _, c := range number[i+1:] {
			switch {
			case c == '-':
				negative = true
			case c != '+' && exponent < enough/10:
				exponent = exponent*10 + int(c-'0')
			case c != '+':
				exponent = enough
			}
		}
		if negative {
			exponent = -exponent
		}
		return number[:i], exponent
	}
	return number, 0
}

func integerDigits(mantissa []byte) int {
	for i, c := range mantissa {
		if c == '.' {
			return i
		}
	}
	return len(mantissa)
}

// digits sets the value from the digits of a mantissa of which the first n
// (which may be more than there are, or less than none) stand before the point.
func (d *decimal) digits(mantissa []byte, n int) {
	position := 0
	for _, c := range mantissa {
		if c == '.' {
			continue
		}
		digit := uint64(c - '0')
		switch {
		case position < n:
			d.push(digit)
		case position == n:
			d.rest = firstRest(digit)
		case digit != 0:
			d.rest = moreRest(d.rest)
		}
		position++
	}
	for ; position < n && d.whole != 0 && !d.over; position++ {
		d.push(0)
	}
}

func (d *decimal) push(digit uint64) {
	if d.whole > (math.MaxUint64-digit)/10 {
		d.over = true
		return
	}
	d.whole = d.whole*10 + digit
}

func firstRest(digit uint64) rest {
	switch {
	case digit == 0:
		return restNone
	case digit < 5:
		return restBelowHalf
	case digit == 5:
		return restHalf
	}
	return restAboveHalf
}

// moreRest is r followed by a digit that is not zero.
func moreRest(r rest) rest {
	switch r {
	case restNone:
		return restBelowHalf
	case restHalf:
		return restAboveHalf
	}
	return r
}

// atMost tells whether the number as written is at most limit.
func (d decimal) atMost(limit uint64) bool {
	if d.negative {
		return true
	}
	return !d.over && (d.whole < limit || d.whole == limit && d.rest == restNone)
}

// halfUp rounds to the nearest whole number, halves towards positive infinity.
// ok is false when that does not fit an int64.
func (d decimal) halfUp() (v int64, ok bool) {
	up := d.rest >= restHalf
	if d.negative {
		up = d.rest == restAboveHalf
	}
	return d.signed(up)
}

// floor rounds towards negative infinity.
func (d decimal) floor() (v int64, ok bool) {
	return d.signed(d.negative && d.rest != restNone)
}

func (d decimal) signed(up bool) (int64, bool) {
	if d.over || d.whole >= math.MaxInt64 {
		return 0, false
	}
	v := int64(d.whole)
	if up {
		v++
	}
	if d.negative {
		v = -v
	}
	return v, true
}

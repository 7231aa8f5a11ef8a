package slack

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gpumeter/gpumeter/schemas/money"
)

// cent is a hundredth of a currency's unit in nano-units.
const cent = money.Nano / 100

// amount is money for people, like USD 1,234.57: two decimals, and for less than
// a hundredth as many as two digits need. No currency: the price is not known.
func amount(nano int64, currency string) string {
	if currency == "" {
		return "what has no price"
	}
	v, sign := uint64(nano), ""
	if nano < 0 {
		v, sign = -v, "-"
	}
	if v > 0 && v < cent {
		return currency + " " + sign + tiny(v)
	}
	v = (v + cent/2) / cent
	return fmt.Sprintf("%s %s%s.%02d", currency, sign, thousands(v/100), v%100)
}

// tiny writes less than a hundredth with two digits that are not leading zeros.
func tiny(nano uint64) string {
	step := uint64(1)
	for nano/step >= 100 {
		step *= 10
	}
	nano = (nano + step/2) / step * step
	return "0." + strings.TrimRight(fmt.Sprintf("%09d", nano), "0")
}

func thousands(v uint64) string {
	digits := strconv.FormatUint(v, 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// span is a time for people, of two units at most: 35 s, 47 min, 1 h 15 min,
// 2 d 3 h.
func span(ms int64) string {
	d := max(0, time.Duration(ms)*time.Millisecond)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		return units(d, time.Hour, "h", time.Minute, "min")
	}
	return units(d, 24*time.Hour, "d", time.Hour, "h")
}

func units(d, large time.Duration, name string, small time.Duration, rest string) string {
	if d%large < small {
		return fmt.Sprintf("%d %s", d/large, name)
	}
	return fmt.Sprintf("%d %s %d %s", d/large, name, d%large/small, rest)
}

// clock is an instant for people.
func clock(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04 UTC") }

// counted is a number of things, like 1 GPU or 8 GPUs.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return thousands(uint64(n)) + " " + thing + "s"
}

// clean makes one short line of a text that somebody else wrote: characters that
// move the cursor, turn the direction of writing or cannot be seen are gone.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	runes := []rune(strings.Join(strings.Fields(s), " "))
	if len(runes) > most {
		runes = append(runes[:most-1], '…')
	}
	return string(runes)
}

package record

import (
	"encoding/json"
	"strconv"

	"github.com/gpumeter/gpumeter/schemas"
)

// A line is one JSON object in the making. Fields that are absent are left out.
type line []byte

func (l *line) key(name string) {
	if len(*l) > 0 && (*l)[len(*l)-1] != '{' {
		*l = append(*l, ',')
	}
	*l = append(append(append(*l, '"'), name...), '"', ':')
}

func (l *line) begin() { *l = append(*l, '{') }

func (l *line) end() { *l = append(*l, '}') }

// quoted appends a text.
func (l *line) quoted(s string) {
	if plain(s) {
		*l = append(append(append(*l, '"'), s...), '"')
		return
	}
	b, _ := json.Marshal(s) // a string always can be
	*l = append(*l, b...)
}

// plain reports whether s stands for itself in JSON, as nearly every id does: no
// byte of it is beyond printable ASCII, or one that json.Marshal escapes.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return true
}

func (l *line) text(name, s string) {
	if s != "" {
		l.key(name)
		l.quoted(s)
	}
}

func (l *line) number(name string, n int64) {
	l.key(name)
	*l = strconv.AppendInt(*l, n, 10)
}

// instant is left out when it is 0, not given.
func (l *line) instant(name string, ms int64) {
	if ms != 0 {
		l.number(name, ms)
	}
}

// asked is left out when it is negative, not reported.
func (l *line) asked(name string, n int64) {
	if n >= 0 {
		l.number(name, n)
	}
}

// scaled writes n / 10^digits.
func (l *line) scaled(name string, n int64, digits int) {
	l.key(name)
	*l = appendDecimal(*l, n, digits)
}

func (l *line) fraction(name string, ppm uint32) {
	if ppm != schemas.Absent32 {
		l.scaled(name, int64(ppm), 6)
	}
}

func (l *line) watts(name string, milli uint32) {
	if milli != schemas.Absent32 {
		l.scaled(name, int64(milli), 3)
	}
}

func (l *line) amount(name string, n uint64) {
	if n != schemas.Absent64 {
		l.key(name)
		*l = strconv.AppendUint(*l, n, 10)
	}
}

// list writes n elements; a list that is not given is not the empty one.
func (l *line) list(name string, n int, element func(i int)) {
	l.key(name)
	*l = append(*l, '[')
	for i := range n {
		if i > 0 {
			*l = append(*l, ',')
		}
		element(i)
	}
	*l = append(*l, ']')
}

// decimal is n / 10^digits, exactly.
func decimal(n int64, digits int) string { return string(appendDecimal(nil, n, digits)) }

func appendDecimal(b []byte, n int64, digits int) []byte {
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	b = append(strconv.AppendInt(b, n/unit, 10), '.')
	for rest := n % unit; unit > 1; rest %= unit {
		unit /= 10
		b = append(b, byte('0'+rest/unit))
	}
	return b
}

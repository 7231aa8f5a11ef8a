package generate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// A line is one JSON object in the making.
type line struct{ b []byte }

func (l *line) raw(key, value string) *line {
	sep := byte(',')
	if len(l.b) == 0 {
		sep = '{'
	}
	l.b = append(l.b, sep, '"')
	l.b = append(append(l.b, key...), '"', ':')
	l.b = append(l.b, value...)
	return l
}

func (l *line) text(key, value string) *line { return l.raw(key, quote(value)) }

func (l *line) number(key string, value int64) *line {
	return l.raw(key, strconv.FormatInt(value, 10))
}

func (l *line) end() []byte { return append(l.b, '}', '\n') }

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always can be
	return string(b)
}

// time writes an instant in one of the forms that the contract allows.
func (l *line) time(d dice, key string, ms int64) *line {
	switch d.IntN(20) {
	case 0:
		return l.text(key, time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z"))
	case 1:
		return l.raw(key, fmt.Sprintf("%d.%d", ms, d.IntN(10)))
	case 2:
		return l.text(key, time.UnixMilli(ms).In(time.FixedZone("", 7200)).Format("2006-01-02T15:04:05.000999-07:00"))
	}
	return l.number(key, ms)
}

// decimal writes millionths as a decimal.
func decimal(ppm int64) string {
	return fmt.Sprintf("%d.%06d", ppm/1_000_000, ppm%1_000_000)
}

package oracle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"time"
	"unicode/utf8"
)

// fields is one JSON object whose members are taken one by one. The first thing
// that is wrong stays in err; what is taken afterwards means nothing.
type fields struct {
	members map[string]json.RawMessage
	err     error
}

var (
	errNotObject = errors.New("not one JSON object in UTF-8")
	errTime      = errors.New("not RFC 3339 and not Unix milliseconds")
)

func parseObject(line []byte) *fields {
	f := &fields{}
	if !utf8.Valid(line) || !startsWith(line, '{') || halfSurrogate(line) {
		f.err = errNotObject
		return f
	}
	f.err = json.Unmarshal(line, &f.members)
	return f
}

func startsWith(raw []byte, c byte) bool {
	raw = bytes.TrimLeft(raw, " \t\r\n")
	return len(raw) > 0 && raw[0] == c
}

// halfSurrogate tells whether a text has one half of a surrogate pair, which
// encoding/json would silently replace: two ids would become one.
func halfSurrogate(line []byte) bool {
	if !bytes.Contains(line, []byte(`\u`)) {
		return false
	}
	waiting := false // for the second half
	for i := 0; i < len(line); i++ {
		isEscape := line[i] == '\\' && i+1 < len(line)
		unit := rune(0)
		if isEscape && line[i+1] == 'u' && i+6 <= len(line) {
			v, err := strconv.ParseUint(string(line[i+2:i+6]), 16, 16)
			if err != nil {
				return true
			}
			unit = rune(v)
		}
		if second := unit >= 0xDC00 && unit < 0xE000; second != waiting {
			return true
		}
		waiting = unit >= 0xD800 && unit < 0xDC00
		switch {
		case isEscape && line[i+1] == 'u':
			i += 5
		case isEscape:
			i++
		}
	}
	return false
}

func (f *fields) fail(name, why string) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s", name, why)
	}
}

// take gives the raw value of a member; nil when it is absent or null.
func (f *fields) take(name string) json.RawMessage {
	raw := f.members[name]
	if string(raw) == "null" {
		return nil
	}
	return raw
}

// text is empty when absent.
func (f *fields) text(name string) string {
	raw := f.take(name)
	if raw == nil {
		return ""
	}
	if raw[0] != '"' {
		f.fail(name, "must be a text")
		return ""
	}
	return unquote(raw)
}

// unquote reads a text that encoding/json has already accepted.
func unquote(raw json.RawMessage) string {
	if !bytes.ContainsRune(raw, '\\') {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	_ = json.Unmarshal(raw, &s)
	return s
}

func (f *fields) requiredText(name string) string {
	s := f.text(name)
	if s == "" {
		f.fail(name, "is required")
	}
	return s
}

func (f *fields) flag(name string) bool {
	switch raw := f.take(name); string(raw) {
	case "true":
		return true
	case "", "false":
	default:
		f.fail(name, "must be true or false")
	}
	return false
}

// time is an instant in ms; Absent when there is none.
func (f *fields) time(name string) int64 {
	raw := f.take(name)
	if raw == nil {
		return Absent
	}
	text := string(raw)
	if raw[0] == '"' {
		text = unquote(raw)
		if _, isNumber := exact(text); isNumber {
			text = "" // a number in quotes is no instant
		}
	}
	ms, err := parseTime(text)
	if err != nil {
		f.fail(name, err.Error())
	}
	return ms
}

func (f *fields) requiredTime(name string) int64 {
	ms := f.time(name)
	if ms == Absent {
		f.fail(name, "is required")
	}
	return ms
}

// laterTime is an optional instant that must be after 1970 began.
func (f *fields) laterTime(name string) int64 {
	ms := f.time(name)
	if ms != Absent && ms <= 0 {
		f.fail(name, "is 1970 or before")
	}
	return ms
}

// The instants from the year 0 to 9999, which RFC 3339 can write.
const (
	firstInstant = -62_167_219_200_000
	lastInstant  = 253_402_300_799_999
)

// parseTime reads Unix milliseconds or RFC 3339; finer fractions are cut off.
func parseTime(text string) (int64, error) {
	if r, ok := exact(text); ok {
		ms := floor(r)
		if !ms.IsInt64() || ms.Int64() < firstInstant || ms.Int64() > lastInstant {
			return Absent, errTime
		}
		return ms.Int64(), nil
	}
	var t time.Time
	if err := t.UnmarshalText([]byte(text)); err != nil {
		return Absent, errTime
	}
	return t.UnixMilli(), nil
}

// number is an optional number times 10^scale; nil when absent.
func (f *fields) number(name string, scale int64) *big.Rat {
	raw := f.take(name)
	if raw == nil {
		return nil
	}
	r, ok := scaled(string(raw), scale)
	if !ok {
		f.fail(name, "must be a number")
		return nil
	}
	return r
}

// amount is a number from 0 to limit after rounding, or Absent.
func (f *fields) amount(name string, scale, limit int64) int64 {
	r := f.number(name, scale)
	if r == nil {
		return Absent
	}
	v, ok := amountOf(r, limit)
	if !ok {
		f.fail(name, "is negative or too large")
	}
	return v
}

func amountOf(r *big.Rat, limit int64) (int64, bool) {
	v := halfUp(r)
	if r.Sign() < 0 || !v.IsInt64() || v.Int64() > limit {
		return Absent, false
	}
	return v.Int64(), true
}

// fraction is a number from 0 to 1 in millionths, or Absent.
func (f *fields) fraction(name string) int64 {
	r := f.number(name, 6)
	if r == nil {
		return Absent
	}
	if r.Sign() < 0 || r.Cmp(big.NewRat(million, 1)) > 0 {
		f.fail(name, "is not from 0 to 1")
		return Absent
	}
	return halfUp(r).Int64()
}

// temperature is in whole degrees, or Absent.
func (f *fields) temperature(name string) int64 {
	r := f.number(name, 0)
	if r == nil {
		return Absent
	}
	v := halfUp(r)
	if !v.IsInt64() || v.Int64() <= math.MinInt16 || v.Int64() > math.MaxInt16 {
		f.fail(name, "is not a temperature")
		return Absent
	}
	return v.Int64()
}

// list is nil, false when absent.
func (f *fields) list(name string) ([]json.RawMessage, bool) {
	raw := f.take(name)
	if raw == nil {
		return nil, false
	}
	var items []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		f.fail(name, "must be a list")
	}
	return items, true
}

// object is nil when absent.
func (f *fields) object(name string) *fields {
	raw := f.take(name)
	if raw == nil {
		return nil
	}
	inner := &fields{}
	if raw[0] != '{' || json.Unmarshal(raw, &inner.members) != nil {
		f.fail(name, "must be an object")
		return nil
	}
	return inner
}

// scalar reads a text, or a number or boolean as it is written; null is empty.
func scalar(raw json.RawMessage) (string, bool) {
	switch raw[0] {
	case '"':
		return unquote(raw), true
	case '{', '[':
		return "", false
	case 'n':
		return "", true
	}
	return string(raw), true
}
